-- Every account that the ids which arrived were ever on.
SELECT toString(kind) AS kind, id, groupUniqArray(account_id) AS accounts
FROM id_accounts
WHERE (kind, id) IN (SELECT CAST(kind AS Enum8('deal' = 1, 'ticket' = 2)), id FROM arrived)
GROUP BY kind, id
