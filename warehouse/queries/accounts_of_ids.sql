-- Every account that the ids which arrived were ever on. One part for each kind: a set of (kind, id) pairs would not prune by key.
SELECT toString(kind) AS kind, id, groupUniqArray(account_id) AS accounts
FROM
(
    SELECT kind, id, account_id FROM id_accounts WHERE kind = 'deal' AND id IN (SELECT id FROM arrived WHERE kind = 'deal')
    UNION ALL
    SELECT kind, id, account_id FROM id_accounts WHERE kind = 'ticket' AND id IN (SELECT id FROM arrived WHERE kind = 'ticket')
)
GROUP BY kind, id
