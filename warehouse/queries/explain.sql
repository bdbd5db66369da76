-- How the server would answer a query, step by step, with the columns that each step gives.
EXPLAIN json = 1, header = 1
-- the query --
