SELECT
    replay_of, topic, partition, offset, account_id, id, event_id, value_hash, replayed_at,
    (account_id, id, event_id, value_hash) IN
    (
        SELECT account_id, deal_id, event_id, value_hash FROM deal_events
        WHERE (account_id, deal_id, event_id) IN (SELECT account_id, id, event_id FROM replays WHERE replay_of IN {of:Array(String)})
        UNION ALL
        SELECT account_id, ticket_id, event_id, value_hash FROM ticket_events
        WHERE (account_id, ticket_id, event_id) IN (SELECT account_id, id, event_id FROM replays WHERE replay_of IN {of:Array(String)})
        UNION ALL
        SELECT '' AS account_id, fingerprint, event_id, value_hash FROM feedback
        WHERE (fingerprint, event_id) IN (SELECT id, event_id FROM replays WHERE replay_of IN {of:Array(String)})
    ) AS stored
FROM replays FINAL
WHERE replay_of IN {of:Array(String)}
