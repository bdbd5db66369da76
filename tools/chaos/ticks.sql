-- Up to when each group is accounted for.
SELECT count(), toUnixTimestamp64Milli(min(last)) FROM (SELECT group_name, max(tick) AS last FROM alert_log WHERE i = 0 GROUP BY group_name)
FORMAT TabSeparated
