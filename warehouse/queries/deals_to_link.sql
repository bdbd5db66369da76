SELECT account_id, known_from, known_to, deal_id, contract_id, renewal_of, deal_type, outcome, closed_at, ends_at
FROM deal_versions FINAL
WHERE account_id IN {accounts:Array(String)}
ORDER BY account_id
LIMIT {most_deals:UInt64} + 1 BY account_id -- an account that has as many is not linked
