-- The records that the wanted contracts' bases are made from, whole.
SELECT v.account_id AS account_id, v.contract_id AS contract_id, v.deal_id AS deal_id, e.payload AS payload
FROM
(
    SELECT account_id, contract_id, deal_id, event_id
    FROM deal_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
      AND (account_id, contract_id) IN (SELECT account_id, contract_id FROM subjects)
) AS v
INNER JOIN
(
    -- Copies of one event may differ: the greatest is the one.
    SELECT account_id, deal_id, event_id, payload
    FROM deal_events
    WHERE account_id IN (SELECT account_id FROM subjects) AND known_at <= {at:DateTime64(3, 'UTC')}
    ORDER BY revision DESC, occurred_at DESC, value_hash DESC
    LIMIT 1 BY account_id, deal_id, event_id
) AS e ON e.account_id = v.account_id AND e.deal_id = v.deal_id AND e.event_id = v.event_id
