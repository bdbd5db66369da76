SELECT version_id, tstamp FROM aftershock.schema_versions WHERE is_applied ORDER BY ALL FORMAT TSV
