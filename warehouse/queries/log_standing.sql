-- What people were told of and that is not over: of each fingerprint the latest published transition, where that is no resolve.
SELECT
    group_name, n, i, writer, appended_at, tick, at, tick_status, tick_reason, run_rules, run_started,
    run_finished, run_rows, run_status, run_errors, transition_id, fingerprint, episode, sequence, rule,
    rule_version, state, reason, severity, kind, arm, starts_at, resolved_at, late, identity, account_id,
    contract_id, labels, annotations, value_at_risk, currency, topic, key, header_keys, header_values, value, happened_at, held_since, snoozed_until, closed, escalated, feedback_id, feedback_by,
    feedback_reason, disposition, told_episode, told_state, told_first, told_last, told_this_week, untold, feedback_ids, feedback_outcomes
FROM alert_log
WHERE topic != '' AND state != 'resolved' AND (fingerprint, episode, sequence) IN
(
    SELECT fingerprint, place.1, place.2
    FROM (SELECT fingerprint, max((episode, sequence)) AS place FROM alert_log WHERE topic != '' GROUP BY fingerprint)
)
ORDER BY fingerprint
