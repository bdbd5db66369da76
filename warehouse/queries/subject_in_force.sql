SELECT account_id, contract_id, since, till, closed_at
FROM in_force_versions FINAL
WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND account_id IN (SELECT account_id FROM subjects)
ORDER BY account_id, contract_id, since
