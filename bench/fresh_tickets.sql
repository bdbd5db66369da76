INSERT INTO ticket_events (account_id, ticket_id, event_id, occurred_at, value_hash, known_at, opened_at, subject, is_attempt, attempt_at,
    classes, strengths, confidences, quotes, found_by, confirmatory, model_version, topic, partition, offset, payload)
SELECT format('acc-{}', leftPad(toString((number * 7919 + {from:UInt64}) % intDiv((SELECT count() FROM deal_events), 10)), 7, '0')) AS account_id,
    format('T-{}', toString({from:UInt64} + number)) AS ticket_id, format('t-{}', toString({from:UInt64} + number)),
    opened_at, toFixedString(unhex(substring(hex(SHA256(ticket_id)), 1, 64)), 32), opened_at,
    toDateTime64('2026-02-25 00:00:00', 3, 'UTC') AS opened_at, 'A fresh one', true, opened_at,
    ['price_reduction'], ['strong'], [0.8], ['we need to reopen our rate'], ['bench'], [false], 'bench', 'tickets', 0, {from:UInt64} + number, repeat('x', 200)
FROM numbers({n:UInt64})
