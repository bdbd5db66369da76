-- contract_signals(at): what rules read, one row a contract, as known at an instant: its base, hardness, money, attempts.
-- The base is the latest won new or renewal deal closed by then; an expansion or downgrade only where there is no other.
-- Attempts are links of the contract; counts ending in _30d, _90d, _180d are of the days before the instant. Money in
-- arr_reporting is in reporting_currency; without a rate for the currency it is null, for amounts of different currencies
-- are never added.
-- Example:
--   SELECT account_id, contract_id, band, attempts_90d, arr_at_risk FROM contract_signals(at = '2026-01-01 00:00:00')
--   WHERE band = 'hard' AND attempts_90d > 0 ORDER BY arr_at_risk DESC LIMIT 10;
CREATE OR REPLACE VIEW contract_signals AS
WITH
    (
        SELECT tuple(groupArray(currency), groupArray(rate))
        FROM (SELECT currency, argMax(rate, tuple(valid_from, imported_at)) AS rate FROM fx WHERE valid_from <= {at:DateTime64(3, 'UTC')} GROUP BY currency)
    ) AS rates,
    (SELECT argMax(value, changed_at) FROM settings WHERE name = 'reporting_currency') AS reporting
SELECT
    c.account_id AS account_id, c.account_name AS account_name, c.segment AS segment, c.contract_id AS contract_id,
    c.deal_id AS deal_id, c.deal_type AS deal_type, c.closed_at AS closed_at, c.ends_at AS ends_at,
    c.ends_at + INTERVAL 90 DAY AS grace_ends_at,
    lost.last <= tuple(c.closed_at, c.deal_id) AND c.ends_at + INTERVAL 90 DAY > {at:DateTime64(3, 'UTC')} AS in_force,
    if(lost.last > tuple(c.closed_at, c.deal_id), lost.last.1, NULL) AS lost_at,
    dateDiff('millisecond', c.closed_at, {at:DateTime64(3, 'UTC')}) / 86400000 AS days_since_close,
    dateDiff('millisecond', {at:DateTime64(3, 'UTC')}, c.ends_at) / 86400000 AS days_to_end,
    -- imported owners supersede what the deal said
    if(o.account_id != '', o.account_executive, c.account_executive) AS account_executive,
    if(o.account_id != '', o.account_manager, c.account_manager) AS account_manager,
    if(o.team != '', o.team, c.team) AS team,
    coalesce(nullIf(account_manager, ''), nullIf(account_executive, ''), team) AS owner,
    c.currency AS currency, c.signed_price AS signed_price, c.list_price AS list_price, c.anticipated_price AS anticipated_price,
    c.price_premium AS price_premium, c.arr AS arr,
    if(c.currency = reporting, toDecimal64(1, 8), rates.2[indexOf(rates.1, c.currency)]) AS rate,
    if(rate > 0, CAST(toDecimal256(arr, 8) * rate AS Nullable(Decimal(38, 4))), NULL) AS arr_reporting,
    reporting AS reporting_currency,
    if(in_force, arr_reporting, NULL) AS arr_at_risk,
    c.hardness AS hardness, c.band AS band, c.coverage AS coverage, c.missing AS missing, c.discount_depth AS discount_depth,
    c.model_version AS model_version, c.known_at AS known_at, c.source_url AS source_url,
    a.attempts_30d AS attempts_30d, a.attempts_90d AS attempts_90d, a.attempts_180d AS attempts_180d, a.attempts_total AS attempts_total,
    a.strong_attempts_90d AS strong_attempts_90d,
    a.first_attempt_lag_days AS first_attempt_lag_days, a.last_attempt_at AS last_attempt_at, a.classes_90d AS classes_90d
FROM
(
    -- The greatest of each contract is taken by sorting and not by argMax, which for a tuple costs far more.
    SELECT
        account_id, contract_id, deal_id, deal_type, closed_at, ends_at, account_name, segment, account_executive,
        account_manager, team, currency, band, coverage, missing, model_version, source_url, signed_price, list_price,
        anticipated_price, arr, price_premium, hardness, discount_depth, known_from AS known_at
    FROM deal_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND closed_at <= {at:DateTime64(3, 'UTC')}
      AND outcome = 'won'
    ORDER BY deal_type IN ('new', 'renewal') DESC, closed_at DESC, deal_id DESC
    LIMIT 1 BY account_id, contract_id
) AS c
LEFT JOIN
(
    -- A lost renewal ends its own contract and the one that it was to continue.
    SELECT account_id, contract, max(tuple(closed_at, deal_id)) AS last
    FROM deal_versions FINAL
    ARRAY JOIN if(renewal_of != '', arrayDistinct([contract_id, renewal_of]), [contract_id]) AS contract
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND closed_at <= {at:DateTime64(3, 'UTC')}
      AND outcome = 'lost' AND deal_type = 'renewal'
    GROUP BY account_id, contract
) AS lost ON lost.account_id = c.account_id AND lost.contract = c.contract_id
LEFT JOIN
(
    SELECT account_id, argMax(account_executive, known_at) AS account_executive, argMax(account_manager, known_at) AS account_manager,
           argMax(team, known_at) AS team
    FROM owners
    WHERE known_at <= {at:DateTime64(3, 'UTC')}
    GROUP BY account_id
) AS o ON o.account_id = c.account_id
LEFT JOIN inline(contract_attempts) AS a ON a.account_id = c.account_id AND a.contract_id = c.contract_id;
