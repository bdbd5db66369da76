SELECT DISTINCT topic FROM alert_log WHERE topic != '' ORDER BY topic
