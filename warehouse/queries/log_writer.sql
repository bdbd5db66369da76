SELECT writer FROM alert_log WHERE group_name = {group:String} AND n = {n:UInt64} AND i = 0
