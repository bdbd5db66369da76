SELECT DISTINCT toString(group_name) AS g FROM alert_log ORDER BY g
