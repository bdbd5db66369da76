INSERT INTO id_accounts
SELECT DISTINCT id, kind, account_id
FROM format(Native, 'id String, kind String, account_id String', base64Decode({arrived:String}))
WHERE (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
