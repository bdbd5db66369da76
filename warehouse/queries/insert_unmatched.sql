INSERT INTO unmatched_versions (
    account_id, ticket_id, known_from, known_to, contract_id, attempt_at, reason, version, is_deleted
)
