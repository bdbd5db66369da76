INSERT INTO deal_events (account_id, deal_id, event_id, occurred_at, value_hash, known_at, account_name, segment, contract_id, deal_type, outcome,
    currency, signed_price, annual_value, closed_at, ends_at, hardness, band, coverage, model_version, topic, partition, offset, payload)
SELECT format('acc-{}', leftPad(toString(intDiv(number, 10)), 7, '0')) AS account_id, format('D-{}', toString(number)) AS deal_id, format('d-{}', toString(number)),
    closed_at, SHA256(deal_id), closed_at, 'A client', 'smb', deal_id, 'new', 'won',
    'USD', 1000 + number % 500, 1000 + number % 500, toDateTime64('2025-09-01 00:00:00', 3, 'UTC') + INTERVAL (number % 150) DAY AS closed_at,
    closed_at + INTERVAL 365 DAY, number % 100, multiIf(number % 100 >= 80, 'hard', number % 100 >= 40, 'firm', 'soft'), 0.8, 'bench', 'deals', 0, number, '{}'
FROM numbers({n:UInt64})
SETTINGS max_insert_threads = 1
