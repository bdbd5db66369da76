SELECT max(n) FROM alert_log WHERE group_name = {group:String}
