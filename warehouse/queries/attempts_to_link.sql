SELECT account_id, known_from, known_to, ticket_id, contract_id, attempt_at, classes, strengths, confidences, quotes, confirmatory
FROM attempt_versions FINAL
WHERE account_id IN (SELECT account_id FROM touched)
ORDER BY account_id
