-- The alert log, whole, but for the bytes, whose hash is enough.
SELECT
    group_name, n, i, writer, toUnixTimestamp64Milli(tick), tick_status, tick_reason, toUnixTimestamp64Milli(appended_at),
    transition_id, fingerprint, episode, sequence, rule, state, reason, arm, toUnixTimestamp64Milli(starts_at), topic, key,
    untold, told_episode, told_state, identity['account_id'], header_keys, header_values, lower(hex(SHA256(value)))
FROM alert_log
ORDER BY group_name, n, i
FORMAT JSONCompactEachRow
