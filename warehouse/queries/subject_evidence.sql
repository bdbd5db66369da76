SELECT account_id, contract_id, ticket_id, class, strength, confidence, quote, lag_days, attempt_at
FROM links_at(at = {at:DateTime64(3, 'UTC')})
ARRAY JOIN classes AS class, strengths AS strength, confidences AS confidence, quotes AS quote
WHERE account_id IN (SELECT account_id FROM subjects) AND attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY
ORDER BY account_id, contract_id, attempt_at DESC, ticket_id, confidence DESC
LIMIT {most:UInt64} BY account_id, contract_id
