SELECT
    c.account_id AS account_id, c.contract_id AS contract_id, c.account_name AS account_name, c.segment AS segment, c.owner AS owner, c.team AS team,
    c.account_executive AS account_executive, c.account_manager AS account_manager, c.deal_id AS deal_id, c.closed_at AS closed_at,
    c.ends_at AS ends_at, c.currency AS currency, c.arr AS arr, c.hardness AS hardness, c.band AS band, c.coverage AS coverage,
    d.components AS components, d.component_values AS component_values, d.component_points AS component_points,
    d.component_evidence AS component_evidence, c.missing AS missing, c.model_version AS model_version
FROM contract_signals(at = {at:DateTime64(3, 'UTC')}) AS c
INNER JOIN
(
    SELECT account_id, contract_id, deal_id, components, component_values, component_points, component_evidence
    FROM deal_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
      AND account_id IN (SELECT account_id FROM subjects)
) AS d ON d.account_id = c.account_id AND d.contract_id = c.contract_id AND d.deal_id = c.deal_id
WHERE c.account_id IN (SELECT account_id FROM subjects)
ORDER BY c.account_id, c.closed_at, c.contract_id
