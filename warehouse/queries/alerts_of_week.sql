-- What a digest is made of: of each alert the latest transition before an instant, where the alert stands open then, or ended
-- since another one. Alerts of the holdout are told to nobody, and so not here.
SELECT
    group_name, n, i, writer, appended_at, tick, at, tick_status, tick_reason, run_rules, run_started,
    run_finished, run_rows, run_status, run_errors, transition_id, fingerprint, episode, sequence, rule,
    rule_version, state, reason, severity, kind, arm, starts_at, resolved_at, late, identity, account_id,
    contract_id, labels, annotations, value_at_risk, currency, topic, key, header_keys, header_values, value, happened_at, held_since, snoozed_until, closed, escalated, feedback_id, feedback_by,
    feedback_reason, disposition, told_episode, told_state, told_first, told_last, told_this_week, untold, feedback_ids, feedback_outcomes
FROM alert_log
WHERE i > 0 AND (fingerprint, episode, sequence) IN
(
    SELECT fingerprint, place.1, place.2
    FROM (SELECT fingerprint, max((episode, sequence)) AS place FROM alert_log WHERE i > 0 AND at < {to:DateTime64(3, 'UTC')} GROUP BY fingerprint)
)
    AND length(identity) > 0 AND arm != 'holdout'
    AND (state IN ('firing', 'reminder', 'acknowledged', 'snoozed') OR state = 'resolved' AND resolved_at >= {from:DateTime64(3, 'UTC')})
ORDER BY value_at_risk DESC NULLS LAST, starts_at, fingerprint
