-- The columns of a view and none of its rows.
SELECT * FROM
-- the view --
LIMIT 0
