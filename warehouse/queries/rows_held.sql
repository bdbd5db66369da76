-- The ledger of migrations and what migrate notes of the configuration are no data.
SELECT name, assumeNotNull(total_rows) FROM system.tables
WHERE database = {database:String} AND total_rows > 0 AND name NOT IN ('schema_versions', 'settings')
ORDER BY name
