-- What views count, and what the events alone give: name, counted, true.
WITH
    present_tickets AS
    (
        SELECT ticket_id, is_attempt, length(classes) AS classes
        FROM ticket_events
        ORDER BY revision DESC, occurred_at DESC, event_id DESC, value_hash DESC
        LIMIT 1 BY ticket_id
    ),
    present_deals AS
    (
        SELECT deal_id, length(components) AS components
        FROM deal_events
        ORDER BY revision DESC, occurred_at DESC, event_id DESC, value_hash DESC
        LIMIT 1 BY deal_id
    )
SELECT 'deals', (SELECT count() FROM deals), (SELECT uniqExact(deal_id) FROM deal_events)
UNION ALL
SELECT 'tickets', (SELECT count() FROM tickets), (SELECT uniqExact(ticket_id) FROM ticket_events)
UNION ALL
SELECT 'attempts', (SELECT count() FROM attempts), (SELECT sum(classes) FROM present_tickets WHERE is_attempt)
UNION ALL
SELECT 'hardness_contributions', (SELECT count() FROM hardness_contributions), (SELECT sum(components) FROM present_deals)
UNION ALL
SELECT 'contract_signals.attempts_total', (SELECT sum(attempts_total) FROM contract_signals_now), (SELECT count() FROM links)
UNION ALL
SELECT 'account_risk.attempts_total', (SELECT sum(attempts_total) FROM account_risk_now), (SELECT uniqExact(account_id, ticket_id) FROM links)
FORMAT TabSeparated
