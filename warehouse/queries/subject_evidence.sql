-- What was asked on the accounts that alerts are about: the latest of each contract, and all that reopens whatever was in force.
SELECT account_id, contract_id, ticket_id, class, strength, confidence, quote, lag_days, attempt_at
FROM
(
    SELECT * FROM link_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND attempt_at <= {at:DateTime64(3, 'UTC')}
      AND attempt_at > {at:DateTime64(3, 'UTC')} - INTERVAL 180 DAY AND account_id IN (SELECT account_id FROM subjects)
)
ARRAY JOIN classes AS class, strengths AS strength, confidences AS confidence, quotes AS quote
ORDER BY account_id, contract_id, attempt_at DESC, ticket_id, confidence DESC
LIMIT {most:UInt64} BY account_id, contract_id, if(contract_id = '', ticket_id, '')
