SELECT
    r.account_id AS account_id, r.account_name AS account_name, r.owner AS owner, toFloat64(assumeNotNull(r.arr_at_risk)) AS at_risk,
    r.reporting_currency AS reporting_currency, r.attempts_90d AS attempts, r.hardness_max AS hardness, c.why AS why, l.quote AS quote
FROM account_risk(at = {at:DateTime64(3, 'UTC')}) AS r
LEFT JOIN
(
    SELECT account_id, argMax(arrayElement(component_evidence, 1), hardness) AS why
    FROM deals_at(at = {at:DateTime64(3, 'UTC')})
    WHERE outcome = 'won' AND hardness IS NOT NULL AND closed_at <= {at:DateTime64(3, 'UTC')}
      AND ends_at + INTERVAL 90 DAY > {at:DateTime64(3, 'UTC')}
    GROUP BY account_id
) AS c ON c.account_id = r.account_id
LEFT JOIN
(
    SELECT account_id, argMax(arrayElement(quotes, 1), attempt_at) AS quote
    FROM linked_attempts_at(at = {at:DateTime64(3, 'UTC')})
    GROUP BY account_id
) AS l ON l.account_id = r.account_id
WHERE r.arr_at_risk > 0 AND r.hard_contracts > 0
ORDER BY r.arr_at_risk DESC, r.account_id
LIMIT {limit:UInt64}
