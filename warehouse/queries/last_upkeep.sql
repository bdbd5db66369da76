SELECT topics, partitions, offsets, tails FROM upkeep_runs ORDER BY version DESC LIMIT 1
