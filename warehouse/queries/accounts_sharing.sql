-- Accounts that share a moved id with the touched ones: their events decide where the id stood when.
SELECT DISTINCT there.account_id AS account_id
FROM moved_ids AS there
WHERE (there.kind, there.id) IN (SELECT kind, id FROM moved_ids WHERE account_id IN (SELECT account_id FROM touched))
