SELECT
    (SELECT uniqExact(topic, partition, offset) FROM deal_events) + (SELECT uniqExact(topic, partition, offset) FROM ticket_events) AS records,
    (SELECT uniqExact(event_id) FROM deal_events) + (SELECT uniqExact(event_id) FROM ticket_events) AS events,
    (SELECT count() FROM rejected_events FINAL) AS dead_letters,
    (SELECT count() FROM deals) AS deals,
    (SELECT countIf(band = 'hard') FROM deals) AS hard_deals,
    (SELECT uniqExact(ticket_id) FROM ticket_events) AS tickets,
    (SELECT uniqExact(ticket_id) FROM attempts) AS attempts,
    (SELECT count() FROM links) AS links
