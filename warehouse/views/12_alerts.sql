-- alert_current: where each alert stands: its latest transition.
-- Example:
--   SELECT rule, state, count(), sum(value_at_risk) FROM alert_current GROUP BY rule, state ORDER BY rule, state;
CREATE OR REPLACE VIEW alert_current AS
SELECT * FROM alert_log
WHERE i > 0
ORDER BY fingerprint, episode DESC, sequence DESC
LIMIT 1 BY fingerprint;

-- rule_runs: every tick of every rule: what it looked at, how long it took, how it ended. A missed tick has no rule.
-- Example:
--   SELECT rule, count(), countIf(status != 'ok') AS bad, max(finished - started) FROM rule_runs GROUP BY rule;
CREATE OR REPLACE VIEW rule_runs AS
SELECT group_name, n, tick, at, tick_status, tick_reason, rule, started, finished, rows, status, error
FROM
(
    SELECT group_name, n, tick, at, tick_status, tick_reason, rule, started, finished, rows, status, error
    FROM alert_log
    LEFT ARRAY JOIN run_rules AS rule, run_started AS started, run_finished AS finished, run_rows AS rows, run_status AS status, run_errors AS error
    WHERE i = 0
);
