SELECT DISTINCT group_name FROM alert_log ORDER BY group_name
