INSERT INTO upkeep_runs (version, writer, started_at, finished_at, topics, partitions, offsets, accounts)
