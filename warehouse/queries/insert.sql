-- Rows of a table, column by column. Put in are the name of a table of this package and those of its columns: nothing from outside.
INSERT INTO the_table (the_columns) VALUES
