-- Where every stored event came from, and what it is: a row for each copy.
SELECT topic, partition, offset, event_id, lower(hex(substring(value_hash, 1, 8)))
FROM deal_events
UNION ALL
SELECT topic, partition, offset, event_id, lower(hex(substring(value_hash, 1, 8)))
FROM ticket_events
FORMAT TabSeparated
