SELECT
    countIf(i = 0), countIf(i = 0 AND tick_status IN ('incomplete', 'missed')), sumIf(countEqual(run_status, 'error'), i = 0), countIf(i > 0),
    medianIf(dateDiff('millisecond', tick, appended_at), i = 0) / 1000, maxIf(dateDiff('millisecond', tick, appended_at), i = 0) / 1000,
    arrayStringConcat(groupUniqArrayIf(concat(toString(tick_status), ': ', group_name, ' ', toString(tick), ' ', tick_reason), i = 0 AND tick_status IN ('incomplete', 'missed')), '; ')
FROM alert_log
WHERE tick >= fromUnixTimestamp64Milli({since:Int64}) AND tick_status != 'feedback'
FORMAT TSVRaw
