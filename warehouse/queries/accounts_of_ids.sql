-- Every account that the ids were ever on. A ticket that no event ever called an attempt has no versions, and is left out.
SELECT kind = 'deal' AS is_deal, id, groupUniqArray(account_id) AS accounts
FROM id_accounts
WHERE id IN {ids:Array(String)}
GROUP BY is_deal, id
HAVING is_deal OR countIf(kind = 'attempt') > 0
