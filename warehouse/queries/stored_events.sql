SELECT DISTINCT account_id, deal_id AS id, event_id, value_hash FROM deal_events
WHERE (account_id, deal_id, event_id) IN (SELECT account_id, id, event_id FROM wanted)
    AND (account_id, deal_id, event_id, value_hash) IN (SELECT account_id, id, event_id, value_hash FROM wanted)
UNION ALL
SELECT DISTINCT account_id, ticket_id AS id, event_id, value_hash FROM ticket_events
WHERE (account_id, ticket_id, event_id) IN (SELECT account_id, id, event_id FROM wanted)
    AND (account_id, ticket_id, event_id, value_hash) IN (SELECT account_id, id, event_id, value_hash FROM wanted)
UNION ALL
SELECT DISTINCT '' AS account_id, fingerprint AS id, event_id, value_hash FROM feedback
WHERE (fingerprint, event_id, value_hash) IN (SELECT id, event_id, value_hash FROM wanted WHERE account_id = '')
