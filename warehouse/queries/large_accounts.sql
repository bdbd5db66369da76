-- Accounts of more deals or attempts than there is a bound for.
SELECT account_id, sum(d) AS deals, sum(a) AS attempts
FROM
(
    SELECT account_id, count() AS d, 0 AS a FROM deal_versions FINAL WHERE account_id IN {accounts:Array(String)} GROUP BY account_id
    UNION ALL
    SELECT account_id, 0, count() FROM attempt_versions FINAL WHERE account_id IN {accounts:Array(String)} GROUP BY account_id
)
GROUP BY account_id
HAVING deals > {most_deals:UInt64} OR attempts > {most_attempts:UInt64}
