SELECT * FROM
-- the view --
