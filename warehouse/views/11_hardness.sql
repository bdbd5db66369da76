-- hardness_contributions: why each deal has the score that it has, one row for each component that contributed.
-- Example:
--   SELECT component, count(), round(avg(contribution), 1) AS points FROM hardness_contributions GROUP BY component ORDER BY points DESC;
CREATE OR REPLACE VIEW hardness_contributions AS
SELECT account_id, contract_id, deal_id, hardness, band, component, value, contribution, evidence, model_version
FROM
(
    SELECT account_id, contract_id, deal_id, hardness, band, model_version, component, value, contribution, evidence
    FROM deals
    ARRAY JOIN components AS component, component_values AS value, component_points AS contribution, component_evidence AS evidence
);

-- missing_inputs: which negotiation facts sources do not give, field by field, and the ARR of the deals whose band is
-- unknown and lacks the field: what adding the field would help to unlock. One row for each field and currency.
-- Example:
--   SELECT field, deals, unknown_deals, arr_unknown, currency FROM missing_inputs ORDER BY arr_unknown DESC;
CREATE OR REPLACE VIEW missing_inputs AS
SELECT field, currency, count() AS deals, countIf(band = 'unknown') AS unknown_deals,
       sumIf(arr, band = 'unknown') AS arr_unknown, countIf(band = 'unknown' AND arr IS NULL) AS unknown_deals_without_arr
FROM
(
    SELECT deal_id, currency, arr, band, field FROM deals ARRAY JOIN missing AS field WHERE outcome = 'won'
)
GROUP BY field, currency;
