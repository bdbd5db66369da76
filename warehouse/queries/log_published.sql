-- Entries after the given one of each group, whole; the order within a group is the log's, whatever clocks said. A page ends
-- with the entry that fills it: at least one, however large it is.
SELECT
    group_name, n, i, writer, appended_at, tick, at, tick_status, tick_reason, run_rules, run_started,
    run_finished, run_rows, run_status, run_errors, transition_id, fingerprint, episode, sequence, rule,
    rule_version, state, reason, severity, kind, arm, starts_at, resolved_at, late, identity, account_id,
    contract_id, labels, annotations, value_at_risk, currency, topic, key, header_keys, header_values, value, happened_at, held_since, snoozed_until, closed, escalated, feedback_id, feedback_by,
    feedback_reason, disposition, told_episode, told_state, told_first, told_last, told_this_week, untold, feedback_ids, feedback_outcomes
FROM alert_log
WHERE topic != '' AND (group_name, n) IN
(
    SELECT group_name, n
    FROM
    (
        SELECT group_name, n, transitions, sum(transitions) OVER (ORDER BY group_name, n) AS so_far
        FROM
        (
            SELECT group_name, n, count() AS transitions
            FROM alert_log
            WHERE topic != '' AND n > arrayElement({ns:Array(Int64)}, indexOf({groups:Array(String)}, toString(group_name)))
            GROUP BY group_name, n
            ORDER BY group_name, n
            LIMIT {limit:UInt64}
        )
    )
    WHERE so_far - transitions < {limit:UInt64}
)
ORDER BY group_name, n, i
