-- contract_signals(at): what rules read, one row a contract, as known at an instant: hardness, money, attempts.
-- Attempts are links of this contract; counts ending in _30d, _90d, _180d are of the days before the instant.
-- Example:
--   SELECT account_id, contract_id, band, attempts_90d, arr_at_risk FROM contract_signals(at = '2026-01-01 00:00:00')
--   WHERE band = 'hard' AND attempts_90d > 0 ORDER BY arr_at_risk DESC LIMIT 10;
CREATE OR REPLACE VIEW contract_signals AS
SELECT
    c.account_id AS account_id, c.account_name AS account_name, c.segment AS segment, c.contract_id AS contract_id,
    c.deal_id AS deal_id, c.deal_type AS deal_type, c.closed_at AS closed_at, c.ends_at AS ends_at, c.grace_ends_at AS grace_ends_at,
    c.in_force AS in_force, c.lost_at AS lost_at,
    dateDiff('millisecond', c.closed_at, {at:DateTime64(3, 'UTC')}) / 86400000 AS days_since_close,
    dateDiff('millisecond', {at:DateTime64(3, 'UTC')}, c.ends_at) / 86400000 AS days_to_end,
    c.account_executive AS account_executive, c.account_manager AS account_manager, c.team AS team, c.owner AS owner,
    c.currency AS currency, c.signed_price AS signed_price, c.list_price AS list_price, c.anticipated_price AS anticipated_price,
    c.price_premium AS price_premium, c.arr AS arr,
    -- amounts of different currencies are never added: without a rate there is no value in the reporting currency
    if(r.currency != '', CAST(toDecimal128(c.arr, 8) * r.rate AS Nullable(Decimal(18, 4))), NULL) AS arr_reporting,
    r.reporting_currency AS reporting_currency,
    if(c.in_force, arr_reporting, NULL) AS arr_at_risk,
    c.hardness AS hardness, c.band AS band, c.coverage AS coverage,
    c.missing AS missing, c.discount_depth AS discount_depth, c.model_version AS model_version,
    c.known_at AS known_at, c.source_url AS source_url,
    a.attempts_30d AS attempts_30d, a.attempts_90d AS attempts_90d, a.attempts_180d AS attempts_180d, a.attempts_total AS attempts_total,
    a.strong_attempts_90d AS strong_attempts_90d,
    a.first_attempt_lag_days AS first_attempt_lag_days, a.last_attempt_at AS last_attempt_at, a.classes_90d AS classes_90d
FROM contracts_at(at = {at:DateTime64(3, 'UTC')}) AS c
LEFT JOIN
(
    SELECT account_id, contract_id,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 30 DAY) AS attempts_30d,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS attempts_90d,
           countIf(attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY) AS attempts_180d,
           count() AS attempts_total,
           countIf(has(strengths, 'strong') AND attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY) AS strong_attempts_90d,
           toNullable(min(lag_days)) AS first_attempt_lag_days,
           toNullable(max(attempt_at)) AS last_attempt_at,
           arraySort(groupUniqArrayArrayIf(classes, attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 90 DAY)) AS classes_90d
    FROM links_at(at = {at:DateTime64(3, 'UTC')})
    GROUP BY account_id, contract_id
) AS a ON a.account_id = c.account_id AND a.contract_id = c.contract_id
LEFT JOIN rates_at(at = {at:DateTime64(3, 'UTC')}) AS r ON r.currency = c.currency;
