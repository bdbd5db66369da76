SELECT name, engine_full, partition_key FROM system.tables WHERE database = {database:String}
