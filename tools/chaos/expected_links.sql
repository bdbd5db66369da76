-- The links of the present, from the events alone: what upkeep keeps must be these rows. Written apart from churn.LinkAccount. One row for each attempt and each
-- contract of its account, with the contract's base at that time, is made first; then those not in force are taken away.
WITH
    present_deals AS
    (
        SELECT *, if(ends_at_given, ends_at, if(term_months > 0, addMonths(closed_at, term_months), addDays(closed_at, 365))) AS term_end
        FROM deal_events
        ORDER BY revision DESC, occurred_at DESC, event_id DESC, value_hash DESC
        LIMIT 1 BY deal_id
    ),
    present_tickets AS
    (
        SELECT account_id, ticket_id, contract_id, is_attempt, attempt_at
        FROM ticket_events
        ORDER BY revision DESC, occurred_at DESC, event_id DESC, value_hash DESC
        LIMIT 1 BY ticket_id
    ),
    known_contracts AS
    (
        SELECT DISTINCT account_id, contract_id FROM present_deals WHERE outcome = 'won'
    ),
    tries AS
    (
        SELECT account_id, ticket_id, attempt_at, if((account_id, contract_id) IN known_contracts, contract_id, '') AS named
        FROM present_tickets WHERE is_attempt
    ),
    bases AS
    (
        SELECT t.account_id AS account_id, t.ticket_id AS ticket_id, t.attempt_at AS attempt_at, t.named AS named,
               d.contract_id AS contract_id, d.deal_id AS deal_id, d.closed_at AS closed_at, d.term_end AS term_end
        FROM tries AS t
        INNER JOIN present_deals AS d ON d.account_id = t.account_id
        WHERE d.outcome = 'won' AND d.closed_at <= t.attempt_at AND (t.named = '' OR t.named = d.contract_id)
        ORDER BY d.deal_type IN ('new', 'renewal') DESC, d.closed_at DESC, d.deal_id DESC
        LIMIT 1 BY ticket_id, contract_id
    ),
    -- a lost renewal ends the base that it comes after, from the instant after it
    ended AS
    (
        SELECT b.ticket_id AS ticket_id, b.contract_id AS contract_id
        FROM bases AS b
        INNER JOIN present_deals AS l ON l.account_id = b.account_id
        WHERE l.outcome = 'lost' AND l.deal_type = 'renewal' AND (l.contract_id = b.contract_id OR l.renewal_of = b.contract_id)
          AND (l.closed_at, l.deal_id) > (b.closed_at, b.deal_id) AND l.closed_at < b.attempt_at
    )
SELECT account_id, contract_id, deal_id, ticket_id,
       toUnixTimestamp64Milli(attempt_at) - toUnixTimestamp64Milli(closed_at) AS lag_milliseconds,
       if(named = '', 'account', 'contract') AS basis,
       toUnixTimestamp64Milli(attempt_at)
FROM bases
WHERE attempt_at < addDays(term_end, 90) AND (ticket_id, contract_id) NOT IN ended
ORDER BY ALL
FORMAT TabSeparated
