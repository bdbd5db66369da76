INSERT INTO ticket_events (
    account_id, ticket_id, event_id, revision, occurred_at, value_hash, known_at, contract_id, opened_at,
    status, priority, channel, subject, tags, category, satisfaction, outage_related, vendor_error, assignee,
    is_attempt, attempt_at, classes, strengths, confidences, quotes, found_by, confirmatory, model_version,
    source_system, source_url, topic, partition, offset, record_time, payload
)
