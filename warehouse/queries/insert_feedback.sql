INSERT INTO feedback (
    event_id, fingerprint, episode, action, by, reason, disposition, snoozed_until, occurred_at,
    value_hash, known_at, topic, partition, offset, record_time, payload
)
