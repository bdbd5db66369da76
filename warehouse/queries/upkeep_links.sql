-- Writes the links that differ from what is stored, and takes away what is stored and was not found. What a link repeats of its
-- attempt, so that rules need not join, comes from the attempt here.
INSERT INTO link_versions (
    account_id, contract_id, ticket_id, known_from, known_to, deal_id, attempt_at, lag_days, basis, classes,
    strengths, confidences, quotes, confirmatory, digest, version, is_deleted
)
SELECT
    account_id, contract_id, ticket_id, known_from, found.known_to, deal_id, attempt_at, lag_days, basis, classes,
    strengths, confidences, quotes, confirmatory, found.digest, {version:UInt64}, NOT found.present
FROM
(
    SELECT link.account_id AS account_id, link.contract_id AS contract_id, link.ticket_id AS ticket_id,
        link.known_from AS known_from, link.known_to AS known_to, link.deal_id AS deal_id,
        link.attempt_at AS attempt_at, link.lag_days AS lag_days, link.basis AS basis, classes, strengths, confidences, quotes, confirmatory,
        cityHash64(deal_id, attempt_at, lag_days, basis, attempt.digest) AS digest, true AS present
    FROM format(Native, 'account_id String, contract_id String, ticket_id String, known_from DateTime64(3, \'UTC\'),
        known_to DateTime64(3, \'UTC\'), deal_id String, attempt_at DateTime64(3, \'UTC\'), lag_days Float64, basis String,
        attempt_from DateTime64(3, \'UTC\')', base64Decode({links:String})) AS link
    INNER JOIN
    (
        SELECT account_id, ticket_id, known_from, classes, strengths, confidences, quotes, confirmatory, digest
        FROM attempt_versions FINAL
        WHERE account_id IN {accounts:Array(String)} AND (account_id IN {whole:Array(String)} OR ticket_id IN {tickets:Array(String)})
          AND tuple(account_id, ticket_id) > tuple({after_account:String}, {after_id:String})
          AND ({last:Bool} OR tuple(account_id, ticket_id) <= tuple({upto_account:String}, {upto_id:String}))
    ) AS attempt ON attempt.account_id = link.account_id AND attempt.ticket_id = link.ticket_id AND attempt.known_from = link.attempt_from
) AS found
FULL JOIN
(
    SELECT account_id, contract_id, ticket_id, known_from, known_to, digest
    FROM link_versions FINAL
    WHERE account_id IN {accounts:Array(String)} AND (account_id IN {whole:Array(String)} OR ticket_id IN {tickets:Array(String)})
      AND tuple(account_id, ticket_id) > tuple({after_account:String}, {after_id:String})
      AND ({last:Bool} OR tuple(account_id, ticket_id) <= tuple({upto_account:String}, {upto_id:String}))
) AS stored USING (account_id, contract_id, ticket_id, known_from)
WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
