-- What a view says at an instant, kept for as long as the session looks from there. Put in are a view of this package, its
-- name and the names of its columns: nothing from outside.
CREATE TEMPORARY TABLE the_snapshot ENGINE = Memory AS
SELECT the_columns FROM
-- the view --
