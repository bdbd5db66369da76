CHECK GRANT SELECT(query_id) ON system.processes
