-- contracts_at(at): one row a contract: its base as known at an instant, whether it is in force then, its ARR.
-- The base is the latest won new or renewal deal closed by then; an expansion or downgrade only where there is no other.
-- Example:
--   SELECT contract_id, deal_id, band, in_force FROM contracts_at(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW contracts_at AS
SELECT
    c.account_id AS account_id, c.contract_id AS contract_id, c.deal_id AS deal_id, c.deal_type AS deal_type,
    c.closed_at AS closed_at, c.ends_at AS ends_at, c.ends_at + INTERVAL 90 DAY AS grace_ends_at,
    if(c.lost > tuple(c.closed_at, c.deal_id), c.lost.1, NULL) AS lost_at,
    c.lost <= tuple(c.closed_at, c.deal_id) AND c.ends_at + INTERVAL 90 DAY > {at:DateTime64(3, 'UTC')} AS in_force,
    c.account_name AS account_name, c.segment AS segment,
    if(o.account_id != '', o.account_executive, c.account_executive) AS account_executive,
    if(o.account_id != '', o.account_manager, c.account_manager) AS account_manager,
    if(o.team != '', o.team, c.team) AS team,
    coalesce(nullIf(account_manager, ''), nullIf(account_executive, ''), team) AS owner,
    c.currency AS currency, c.signed_price AS signed_price, c.list_price AS list_price, c.anticipated_price AS anticipated_price,
    if(c.anticipated_price > 0, toFloat64(c.signed_price - c.anticipated_price) / toFloat64(c.anticipated_price), NULL) AS price_premium,
    -- ARR: the annual value, else the price spread over the term, else unknown
    multiIf(c.annual_value IS NOT NULL, c.annual_value,
            c.term_months > 0, CAST(c.signed_price * 12 / c.term_months AS Nullable(Decimal(18, 4))), NULL) AS arr,
    c.hardness AS hardness, c.band AS band, c.coverage AS coverage, c.missing AS missing, c.discount_depth AS discount_depth,
    c.model_version AS model_version, c.known_at AS known_at, c.source_url AS source_url
FROM
(
    -- One pass over the deals, which takes a column up only where the query above asks for it. A deal counts for its own
    -- contract, a lost renewal also for the contract that it was to continue. Tuples keep a null where argMax would skip it.
    SELECT
        d.account_id AS account_id, contract AS contract_id,
        argMaxIf(d.deal_id, d.place, d.outcome = 'won') AS deal_id,
        argMaxIf(d.deal_type, d.place, d.outcome = 'won') AS deal_type,
        argMaxIf(d.closed_at, d.place, d.outcome = 'won') AS closed_at,
        argMaxIf(d.ends_at, d.place, d.outcome = 'won') AS ends_at,
        argMaxIf(d.account_name, d.place, d.outcome = 'won') AS account_name,
        argMaxIf(d.segment, d.place, d.outcome = 'won') AS segment,
        argMaxIf(d.account_executive, d.place, d.outcome = 'won') AS account_executive,
        argMaxIf(d.account_manager, d.place, d.outcome = 'won') AS account_manager,
        argMaxIf(d.team, d.place, d.outcome = 'won') AS team,
        argMaxIf(d.currency, d.place, d.outcome = 'won') AS currency,
        argMaxIf(d.term_months, d.place, d.outcome = 'won') AS term_months,
        argMaxIf(d.band, d.place, d.outcome = 'won') AS band,
        argMaxIf(d.coverage, d.place, d.outcome = 'won') AS coverage,
        argMaxIf(d.missing, d.place, d.outcome = 'won') AS missing,
        argMaxIf(d.model_version, d.place, d.outcome = 'won') AS model_version,
        argMaxIf(d.source_url, d.place, d.outcome = 'won') AS source_url,
        argMaxIf(tuple(d.signed_price), d.place, d.outcome = 'won').1 AS signed_price,
        argMaxIf(tuple(d.list_price), d.place, d.outcome = 'won').1 AS list_price,
        argMaxIf(tuple(d.anticipated_price), d.place, d.outcome = 'won').1 AS anticipated_price,
        argMaxIf(tuple(d.annual_value), d.place, d.outcome = 'won').1 AS annual_value,
        argMaxIf(tuple(d.hardness), d.place, d.outcome = 'won').1 AS hardness,
        argMaxIf(tuple(d.discount_depth), d.place, d.outcome = 'won').1 AS discount_depth,
        argMaxIf(d.known_from, d.place, d.outcome = 'won') AS known_at,
        maxIf(tuple(d.closed_at, d.deal_id), d.outcome = 'lost' AND d.deal_type = 'renewal') AS lost
    FROM
    (
        SELECT *, tuple(deal_type IN ('new', 'renewal'), closed_at, deal_id) AS place
        FROM deal_versions FINAL
        WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND closed_at <= {at:DateTime64(3, 'UTC')}
    ) AS d
    ARRAY JOIN if(d.outcome = 'lost' AND d.renewal_of != '', arrayDistinct([d.contract_id, d.renewal_of]), [d.contract_id]) AS contract
    GROUP BY d.account_id, contract
    HAVING countIf(d.outcome = 'won') > 0
) AS c
LEFT JOIN
(
    SELECT account_id, argMax(account_executive, known_at) AS account_executive, argMax(account_manager, known_at) AS account_manager,
           argMax(team, known_at) AS team
    FROM owners WHERE known_at <= {at:DateTime64(3, 'UTC')} GROUP BY account_id
) AS o ON o.account_id = c.account_id;
