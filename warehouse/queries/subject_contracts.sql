SELECT account_id, contract_id, account_name, segment, owner, team, deal_id, closed_at, ends_at, currency, arr, hardness, band, coverage,
       components, component_values, component_points, component_evidence, missing, model_version
FROM contracts_at(at = {at:DateTime64(3, 'UTC')})
WHERE account_id IN (SELECT account_id FROM subjects)
ORDER BY account_id, closed_at, contract_id
