-- deals_at(at): the deals as known at an instant, with the owners as known then (imported owners supersede the deal's).
-- Example:
--   SELECT deal_id, band, hardness FROM deals_at(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW deals_at AS
SELECT
    d.account_id AS account_id, d.contract_id AS contract_id, d.deal_id AS deal_id, d.event_id AS event_id,
    d.known_from AS known_at, d.occurred_at AS occurred_at, d.revision AS revision,
    d.account_name AS account_name, d.segment AS segment, d.renewal_of AS renewal_of, d.deal_type AS deal_type, d.outcome AS outcome,
    d.currency AS currency, d.signed_price AS signed_price, d.list_price AS list_price, d.anticipated_price AS anticipated_price,
    d.annual_value AS annual_value, d.term_months AS term_months, d.closed_at AS closed_at, d.ends_at AS ends_at,
    d.price_premium AS price_premium, d.arr AS arr,
    if(o.account_id != '', o.account_executive, d.account_executive) AS account_executive,
    if(o.account_id != '', o.account_manager, d.account_manager) AS account_manager,
    if(o.account_id != '' AND o.team != '', o.team, d.team) AS team,
    multiIf(account_manager != '', account_manager, account_executive != '', account_executive, team) AS owner,
    d.hardness AS hardness, d.band AS band, d.coverage AS coverage,
    d.components AS components, d.component_values AS component_values, d.component_points AS component_points,
    d.component_evidence AS component_evidence, d.missing AS missing, d.discount_depth AS discount_depth,
    d.model_version AS model_version, d.source_system AS source_system, d.source_url AS source_url
FROM
(
    SELECT *, arr, price_premium FROM deal_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
) AS d
LEFT JOIN
(
    SELECT account_id,
           argMax(account_executive, known_at) AS account_executive,
           argMax(account_manager, known_at) AS account_manager,
           argMax(team, known_at) AS team
    FROM owners WHERE known_at <= {at:DateTime64(3, 'UTC')}
    GROUP BY account_id
) AS o ON o.account_id = d.account_id;
