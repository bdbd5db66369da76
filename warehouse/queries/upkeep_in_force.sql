-- As upkeep_links, for when contracts were in force.
INSERT INTO in_force_versions (account_id, contract_id, since, known_from, known_to, till, deal_id, closed_at, digest, version, is_deleted)
SELECT account_id, contract_id, since, known_from, found.known_to, till, deal_id, closed_at, found.digest, {version:UInt64}, NOT found.present
FROM
(
    SELECT *, cityHash64(till, deal_id, closed_at) AS digest, true AS present
    FROM format(Native, 'account_id String, contract_id String, since DateTime64(3, \'UTC\'), known_from DateTime64(3, \'UTC\'),
        known_to DateTime64(3, \'UTC\'), till DateTime64(3, \'UTC\'), deal_id String, closed_at DateTime64(3, \'UTC\')', base64Decode({in_force:String}))
) AS found
FULL JOIN
(
    SELECT account_id, contract_id, since, known_from, known_to, digest
    FROM in_force_versions FINAL
    WHERE account_id IN {accounts:Array(String)}
      AND tuple(account_id, contract_id) > tuple({after_account:String}, {after_id:String})
      AND ({last:Bool} OR tuple(account_id, contract_id) <= tuple({upto_account:String}, {upto_id:String}))
) AS stored USING (account_id, contract_id, since, known_from)
WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
