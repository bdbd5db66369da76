INSERT INTO rejected_events (
    rejected_at, topic, partition, offset, record_time, code, field, reason, key, value_size, value_hash,
    excerpt, source, known_at, replay_of
)
