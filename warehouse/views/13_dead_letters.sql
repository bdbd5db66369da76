-- dead_letters: every record that was refused, and what became of it since: accepted, because a replay sent it or found it
-- sent anew; refused_again, and a later dead letter tells of it; sent by a replay, and neither stored nor refused yet; else open.
-- Example:
--   SELECT topic, code, state, count() FROM dead_letters GROUP BY topic, code, state ORDER BY count() DESC;
CREATE OR REPLACE VIEW dead_letters AS
SELECT
    position, topic, code, field, reason, known_at, rejected_at, key, value_size, excerpt, replay_of,
    multiIf(
        r.first IN
        (
            SELECT replay_of FROM replays
            WHERE (account_id, id, event_id, value_hash) IN
            (
                SELECT account_id, deal_id, event_id, value_hash FROM deal_events
                WHERE (account_id, deal_id, event_id) IN (SELECT account_id, id, event_id FROM replays)
                UNION ALL
                SELECT account_id, ticket_id, event_id, value_hash FROM ticket_events
                WHERE (account_id, ticket_id, event_id) IN (SELECT account_id, id, event_id FROM replays)
                UNION ALL
                SELECT '' AS account_id, fingerprint, event_id, value_hash FROM feedback
                WHERE (fingerprint, event_id) IN (SELECT id, event_id FROM replays)
            )
        ), 'accepted',
        later.first != '' AND r.place < later.place, 'refused_again',
        r.first IN
        (
            SELECT replay_of FROM replays
            WHERE offset >= 0
                AND (topic, partition, offset) NOT IN (SELECT topic, partition, offset FROM rejected_events WHERE replay_of != '')
        ), 'sent',
        'open') AS state
FROM
(
    SELECT
        format('{}/{}/{}', topic, partition, offset) AS position, topic, toString(code) AS code, field, reason, known_at,
        rejected_at, key, value_size, excerpt, replay_of,
        if(replay_of = '', position, replay_of) AS first,
        tuple(rejected_at, partition, offset) AS place
    FROM rejected_events FINAL
) AS r
LEFT JOIN
(
    SELECT replay_of AS first, max(tuple(rejected_at, partition, offset)) AS place
    FROM rejected_events WHERE replay_of != '' GROUP BY first
) AS later ON later.first = r.first;

-- rejections_now: rejections as of now.
-- Example:
--   SELECT source, code, refused_1h, expected_1h, refused_1d, last_position FROM rejections_now ORDER BY refused_1d DESC;
CREATE OR REPLACE VIEW rejections_now AS
SELECT * FROM rejections(at = now64(3, 'UTC'));
