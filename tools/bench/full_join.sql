-- All links at once, from the events alone: what upkeep saves. The present of every deal and ticket, then each attempt with
-- the contracts that it names or that were in force; in this history every deal is a contract of its own.
SELECT count()
FROM
(
    SELECT ticket_id, argMax(tuple(account_id, contract_id, is_attempt, attempt_at), tuple(revision, occurred_at, event_id, value_hash)) AS t
    FROM ticket_events
    GROUP BY ticket_id
    HAVING t.3
) AS ticket
INNER JOIN
(
    SELECT deal_id, argMax(tuple(account_id, contract_id, closed_at, ends_at), tuple(revision, occurred_at, event_id, value_hash)) AS d
    FROM deal_events
    GROUP BY deal_id
) AS deal ON deal.d.1 = ticket.t.1
WHERE deal.d.3 <= ticket.t.4 AND ticket.t.4 < deal.d.4 + INTERVAL 90 DAY AND (ticket.t.2 = '' OR ticket.t.2 = deal.d.2)
SETTINGS max_bytes_before_external_group_by = 4000000000
