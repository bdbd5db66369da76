-- The present of some deals, whole, whichever account they are on. It reads the ids of all events, for nothing is sorted by them: a form
-- is rare, and must not depend on upkeep having come by.
SELECT deal_id, account_id, payload
FROM deal_events
WHERE deal_id IN (SELECT deal_id FROM wanted)
ORDER BY deal_id, revision DESC, occurred_at DESC, event_id DESC, value_hash DESC
LIMIT 1 BY deal_id
