-- Notes which of a step's accounts are set aside, and that others no longer are.
INSERT INTO accounts_set_aside (account_id, since, deals, attempts, version, is_deleted)
SELECT account_id, found.since, found.deals, found.attempts, {version:UInt64}, NOT found.present
FROM
(
    SELECT *, true AS present
    FROM format(Native, 'account_id String, since DateTime64(3, \'UTC\'), deals UInt64, attempts UInt64', base64Decode({set_aside:String}))
) AS found
FULL JOIN
(
    SELECT account_id, true AS present FROM accounts_set_aside FINAL WHERE account_id IN {accounts:Array(String)}
) AS stored USING (account_id)
WHERE found.present != stored.present
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
