SELECT at, state, rule, annotations['summary'] AS summary
FROM alert_log
WHERE i > 0 AND topic != ''
ORDER BY at DESC, group_name, n DESC, i
LIMIT {limit:UInt64}
