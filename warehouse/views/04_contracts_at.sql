-- contracts_at(at): one row a contract: its base as known at an instant, whether it is in force then, its ARR.
-- The base is the latest won new or renewal deal closed by then; an expansion or downgrade only where there is no other.
-- Example:
--   SELECT contract_id, deal_id, band, in_force FROM contracts_at(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW contracts_at AS
SELECT
    c.account_id AS account_id, c.contract_id AS contract_id,
    c.base.1 AS deal_id, c.base.2 AS deal_type, c.base.3 AS closed_at, c.base.4 AS ends_at,
    addDays(c.base.4, 90) AS grace_ends_at,
    l.lost_at AS lost_at,
    l.lost_at IS NULL AND grace_ends_at > {at:DateTime64(3, 'UTC')} AS in_force,
    c.base.5 AS account_name, c.base.6 AS segment,
    c.base.7 AS account_executive, c.base.8 AS account_manager, c.base.9 AS team, c.base.10 AS owner,
    c.base.11 AS currency, c.base.12 AS signed_price, c.base.13 AS list_price, c.base.14 AS anticipated_price,
    c.base.15 AS price_premium, c.base.16 AS arr,
    c.base.17 AS hardness, c.base.18 AS band, c.base.19 AS coverage,
    c.base.20 AS components, c.base.21 AS component_values, c.base.22 AS component_points, c.base.23 AS component_evidence,
    c.base.24 AS missing, c.base.25 AS discount_depth, c.base.26 AS model_version, c.base.27 AS known_at,
    c.base.28 AS source_url
FROM
(
    SELECT account_id, contract_id,
           argMax(tuple(deal_id, deal_type, closed_at, ends_at, account_name, segment, account_executive, account_manager, team, owner,
                        currency, signed_price, list_price, anticipated_price, price_premium, arr, hardness, band, coverage,
                        components, component_values, component_points, component_evidence, missing, discount_depth, model_version,
                        known_at, source_url),
                  tuple(deal_type IN ('new', 'renewal'), closed_at, deal_id)) AS base
    FROM deals_at(at = {at:DateTime64(3, 'UTC')})
    WHERE outcome = 'won' AND closed_at <= {at:DateTime64(3, 'UTC')}
    GROUP BY account_id, contract_id
) AS c
LEFT JOIN
(
    -- the latest lost renewal of each contract, by its own id or by renewal_of
    SELECT account_id, contract AS contract_id, max(tuple(closed_at, deal_id)) AS lost, toNullable(lost.1) AS lost_at
    FROM deals_at(at = {at:DateTime64(3, 'UTC')})
    ARRAY JOIN arrayDistinct([contract_id, renewal_of]) AS contract
    WHERE outcome = 'lost' AND deal_type = 'renewal' AND closed_at <= {at:DateTime64(3, 'UTC')} AND contract != ''
    GROUP BY account_id, contract
) AS l ON l.account_id = c.account_id AND l.contract_id = c.contract_id
      AND l.lost > tuple(c.base.3, c.base.1);
