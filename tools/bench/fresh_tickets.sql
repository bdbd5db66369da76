-- One fresh attempt for each of n accounts, drawn by a hash: another draw for each value of from.
INSERT INTO ticket_events (account_id, ticket_id, event_id, occurred_at, value_hash, known_at, opened_at, subject, is_attempt, attempt_at,
    classes, strengths, confidences, quotes, found_by, confirmatory, model_version, topic, partition, offset, payload)
SELECT format('acc-{}', leftPad(toString(drawn), 7, '0')) AS account_id,
    format('T-{}', toString({from:UInt64} + nth)) AS ticket_id, format('t-{}', toString({from:UInt64} + nth)),
    opened_at, SHA256(ticket_id), opened_at,
    toDateTime64('2026-02-25 00:00:00', 3, 'UTC') AS opened_at, 'A fresh one', true, opened_at,
    ['price_reduction'], ['strong'], [0.8], ['we need to reopen our rate'], ['bench'], [false], 'bench', 'tickets', 0, {from:UInt64} + nth, repeat('x', 200)
FROM
(
    SELECT drawn, rowNumberInAllBlocks() AS nth
    FROM (SELECT number AS drawn FROM numbers({accounts:UInt64}) ORDER BY cityHash64(number, {from:UInt64}), number LIMIT {n:UInt64})
)
SETTINGS max_insert_threads = 1
