    group_name, n, i, writer, appended_at, tick, at, tick_status, tick_reason,
    run_rules, run_started, run_finished, run_rows, run_status, run_errors,
    transition_id, fingerprint, episode, sequence, rule, rule_version, state, reason, severity, kind, arm,
    starts_at, resolved_at, late, identity, account_id, contract_id, labels, annotations, value_at_risk, currency,
    topic, key, header_keys, header_values, value,
    happened_at, held_since, snoozed_until, closed, escalated, feedback_id, feedback_by, feedback_reason, disposition,
    told_episode, told_state, told_first, told_last, told_this_week, untold, feedback_ids, feedback_outcomes
