DESCRIBE (
-- the query --
)
