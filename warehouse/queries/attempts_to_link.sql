-- The tickets that arrived, and all of accounts whose deals may have changed.
SELECT account_id, known_from, known_to, ticket_id, contract_id, attempt_at
FROM attempt_versions FINAL
WHERE account_id IN {accounts:Array(String)} AND (account_id IN {whole:Array(String)} OR ticket_id IN {tickets:Array(String)})
ORDER BY account_id
LIMIT {most_attempts:UInt64} + 1 BY account_id -- an account that has as many is not linked
