SELECT DISTINCT toString(topic) AS t FROM alert_log WHERE topic != '' ORDER BY t
