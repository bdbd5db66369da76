-- Feedback that no entry of the alert log answers yet, in the order of knowing; of several copies the one that was known first.
SELECT event_id, fingerprint, episode, action, by, reason, disposition, snoozed_until, occurred_at, known_at
FROM feedback
WHERE stored_at >= {since:DateTime64(3, 'UTC')}
    AND event_id NOT IN (SELECT arrayJoin(feedback_ids) FROM alert_log WHERE i = 0)
ORDER BY known_at, topic, partition, offset
LIMIT 1 BY event_id
