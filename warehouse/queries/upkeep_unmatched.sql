-- As upkeep_links, for attempts without a contract in force.
INSERT INTO unmatched_versions (account_id, ticket_id, known_from, known_to, contract_id, attempt_at, reason, digest, version, is_deleted)
SELECT account_id, ticket_id, known_from, found.known_to, contract_id, attempt_at, reason, found.digest, {version:UInt64}, NOT found.present
FROM
(
    SELECT *, cityHash64(contract_id, attempt_at, reason) AS digest, true AS present
    FROM format(Native, 'account_id String, ticket_id String, known_from DateTime64(3, \'UTC\'), known_to DateTime64(3, \'UTC\'),
        contract_id String, attempt_at DateTime64(3, \'UTC\'), reason String', base64Decode({unmatched:String}))
) AS found
FULL JOIN
(
    SELECT account_id, ticket_id, known_from, known_to, digest
    FROM unmatched_versions FINAL
    WHERE account_id IN {accounts:Array(String)} AND (account_id IN {whole:Array(String)} OR ticket_id IN {tickets:Array(String)})
      AND tuple(account_id, ticket_id) > tuple({after_account:String}, {after_id:String})
      AND ({last:Bool} OR tuple(account_id, ticket_id) <= tuple({upto_account:String}, {upto_id:String}))
) AS stored USING (account_id, ticket_id, known_from)
WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
