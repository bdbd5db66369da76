SELECT topics, partitions, offsets FROM upkeep_runs ORDER BY version DESC LIMIT 1
