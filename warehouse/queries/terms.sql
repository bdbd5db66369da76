-- Every term of every contract, and what became of it, as known now.
SELECT account_id, contract_id, deal_id, closed_at, ends_at,
       ifNull(over_at, toDateTime64(0, 3, 'UTC')) AS over_at, outcome, ifNull(downgraded_at, toDateTime64(0, 3, 'UTC')) AS downgraded_at
FROM outcomes
ORDER BY account_id, contract_id, closed_at, deal_id
