SELECT name FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree' AND name NOT IN ('schema_versions', 'settings')
