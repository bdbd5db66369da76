-- account_risk(at): one row an account, as known at an instant. Attempts and money count once an account, however many
-- of its contracts an attempt reopens.
-- Example:
--   SELECT account_id, attempts_90d, hardness_max, arr_at_risk FROM account_risk(at = '2026-01-01 00:00:00')
--   WHERE attempts_90d > 1 ORDER BY arr_at_risk DESC LIMIT 10;
CREATE OR REPLACE VIEW account_risk AS
SELECT
    c.account_id AS account_id, c.account_name AS account_name, c.segment AS segment, c.owner AS owner, c.team AS team,
    c.contracts AS contracts, c.hard_contracts AS hard_contracts, c.hardness_max AS hardness_max,
    c.arr_reporting AS arr_reporting, if(a.attempts_90d > 0, c.arr_reporting, NULL) AS arr_at_risk,
    c.reporting_currency AS reporting_currency, c.unpriced_contracts AS unpriced_contracts,
    a.attempts_30d AS attempts_30d, a.attempts_90d AS attempts_90d, a.attempts_180d AS attempts_180d, a.attempts_total AS attempts_total,
    a.strong_attempts_90d AS strong_attempts_90d, a.last_attempt_at AS last_attempt_at, a.classes_90d AS classes_90d
FROM
(
    SELECT s.account_id AS account_id,
           argMax(s.account_name, tuple(s.closed_at, s.contract_id)) AS account_name,
           argMax(s.segment, tuple(s.closed_at, s.contract_id)) AS segment,
           argMax(s.owner, tuple(s.closed_at, s.contract_id)) AS owner,
           argMax(s.team, tuple(s.closed_at, s.contract_id)) AS team,
           countIf(s.in_force) AS contracts,
           countIf(s.in_force AND s.band = 'hard') AS hard_contracts,
           maxIf(s.hardness, s.in_force) AS hardness_max,
           sumIf(s.arr_reporting, s.in_force) AS arr_reporting,
           countIf(s.in_force AND s.arr_reporting IS NULL) AS unpriced_contracts,
           any(s.reporting_currency) AS reporting_currency
    FROM inline(contract_signals) AS s
    GROUP BY s.account_id
) AS c
LEFT JOIN
(
    SELECT account_id,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY) AS attempts_30d,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS attempts_90d,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY) AS attempts_180d,
           count() AS attempts_total,
           countIf(has(strengths, 'strong') AND attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS strong_attempts_90d,
           toNullable(max(attempt_at)) AS last_attempt_at,
           arraySort(groupUniqArrayArrayIf(classes, attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY)) AS classes_90d
    FROM inline(linked_attempts_at)
    GROUP BY account_id
) AS a ON a.account_id = c.account_id;
