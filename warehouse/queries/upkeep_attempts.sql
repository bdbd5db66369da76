-- As upkeep_deals, for tickets that some event called an attempt; a correction to no attempt ends the version before it.
INSERT INTO attempt_versions (
    account_id, ticket_id, known_from, known_to, event_id, contract_id, opened_at, attempt_at, subject, classes,
    strengths, confidences, quotes, found_by, confirmatory, model_version,
    digest, version, is_deleted
)
SELECT
    account_id, ticket_id, known_from, found.known_to, event_id, contract_id, opened_at, attempt_at, subject, classes,
    strengths, confidences, quotes, found_by, confirmatory, model_version,
    found.digest, {version:UInt64}, NOT found.present
FROM
(
    SELECT *, true AS present
    FROM
    (
        SELECT *,
            known_at AS known_from,
            leadInFrame(known_at, 1, toDateTime64('2250-01-01 00:00:00', 3, 'UTC')) OVER
                (PARTITION BY ticket_id ORDER BY known_at, place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS known_to
        FROM
        (
            SELECT *,
                tuple(revision, occurred_at, event_id, value_hash) AS place,
                cityHash64(place, model_version) AS digest,
                row_number() OVER (PARTITION BY ticket_id ORDER BY known_at, place, model_version) AS nth,
                max(place) OVER (PARTITION BY ticket_id ORDER BY known_at, place, model_version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS greatest
            FROM ticket_events
            WHERE account_id IN {accounts:Array(String)} AND ticket_id IN {tickets:Array(String)}
        )
        WHERE nth = 1 OR place > greatest
    )
    WHERE known_to > known_from AND is_attempt
) AS found
FULL JOIN
(
    SELECT account_id, ticket_id, known_from, known_to, digest
    FROM attempt_versions FINAL
    WHERE account_id IN {accounts:Array(String)} AND ticket_id IN {tickets:Array(String)}
) AS stored USING (account_id, ticket_id, known_from)
WHERE (found.known_to != stored.known_to OR found.digest != stored.digest)
  AND (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
