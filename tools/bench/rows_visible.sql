SELECT total_rows FROM system.tables WHERE database = {database:String} AND name = {table:String}
