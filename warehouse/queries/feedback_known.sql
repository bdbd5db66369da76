-- What people did and was known within a span, in the order of knowing; of several copies the one that was known first.
SELECT event_id, fingerprint, episode, action, by, reason, disposition, snoozed_until, occurred_at, known_at
FROM
(
    SELECT * FROM feedback
    ORDER BY known_at, topic, partition, offset
    LIMIT 1 BY event_id
)
WHERE known_at > {from:DateTime64(3, 'UTC')} AND known_at <= {to:DateTime64(3, 'UTC')}
ORDER BY known_at, topic, partition, offset
