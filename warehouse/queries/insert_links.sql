INSERT INTO link_versions (
    account_id, contract_id, ticket_id, known_from, known_to, deal_id, attempt_at, lag_days, basis, classes,
    strengths, confidences, quotes, confirmatory, version, is_deleted
)
