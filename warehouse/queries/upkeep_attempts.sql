-- As upkeep_deals, for tickets that ever were an attempt; a correction to no attempt ends the version before it.
INSERT INTO attempt_versions (
    account_id, ticket_id, known_from, known_to, event_id, contract_id, opened_at, attempt_at, subject, classes,
    strengths, confidences, quotes, found_by, confirmatory, model_version, version, is_deleted
)
SELECT
    account_id, ticket_id, known_from, known_to, event_id, contract_id, opened_at, attempt_at, subject, classes,
    strengths, confidences, quotes, found_by, confirmatory, model_version,
    {version:UInt64}, 0
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
            row_number() OVER (PARTITION BY ticket_id ORDER BY known_at, place) AS nth,
            max(place) OVER (PARTITION BY ticket_id ORDER BY known_at, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS greatest
        FROM ticket_events
        WHERE account_id IN (SELECT account_id FROM readable)
          AND ticket_id IN (SELECT ticket_id FROM ticket_events WHERE is_attempt AND account_id IN (SELECT account_id FROM readable))
    )
    WHERE nth = 1 OR place > greatest
)
WHERE known_to > known_from AND is_attempt AND account_id IN (SELECT account_id FROM touched)
