SELECT writer FROM upkeep_runs WHERE version = {version:UInt64}
