-- One ticket in twenty is an attempt; every second attempt names one of the ten contracts of its account.
INSERT INTO ticket_events (account_id, ticket_id, event_id, occurred_at, value_hash, known_at, contract_id, opened_at, subject, is_attempt, attempt_at,
    classes, strengths, confidences, quotes, found_by, confirmatory, model_version, topic, partition, offset, payload)
SELECT format('acc-{}', leftPad(toString(intDiv(number, 100)), 7, '0')) AS account_id, format('T-{}', toString(number)) AS ticket_id, format('t-{}', toString(number)),
    opened_at, SHA256(ticket_id), opened_at,
    if(number % 40 = 0, format('D-{}', toString(intDiv(number, 10))), ''),
    toDateTime64('2025-09-05 00:00:00', 3, 'UTC') + INTERVAL (number % 170) DAY AS opened_at, 'A question', number % 20 = 0 AS attempt, opened_at,
    if(attempt, ['price_reduction'], []), if(attempt, ['strong'], []), if(attempt, [0.8], []), if(attempt, ['we need to reopen our rate'], []),
    if(attempt, ['bench'], []), if(attempt, [false], []), 'bench', 'tickets', 0, number, repeat('x', 200)
FROM numbers({n:UInt64})
SETTINGS max_insert_threads = 1
