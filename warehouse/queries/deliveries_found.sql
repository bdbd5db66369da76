-- Deliveries with what was to be delivered, the latest first. Superseded: a later transition of the alert was published since.
WITH found AS
(
    SELECT * FROM alert_deliveries FINAL
    WHERE transition_id != '' AND ({destination:String} = '' OR destination = {destination:String})
      AND (NOT {refused:Bool} OR outcome IN ('refused', 'again'))
      AND (empty({ids:Array(String)}) OR transition_id IN {ids:Array(String)})
    ORDER BY delivered_at DESC, destination, transition_id
    LIMIT {limit:UInt64}
)
SELECT
    d.destination AS destination, d.transition_id AS transition_id, d.fingerprint AS fingerprint, d.episode AS episode, d.sequence AS sequence,
    d.delivered_at AS delivered_at, d.outcome AS outcome, d.detail AS detail, t.rule AS rule, t.state AS state, t.account_id AS account_id,
    t.topic AS topic, (d.episode, d.sequence) < c.latest AS superseded
FROM found AS d
LEFT JOIN
(
    SELECT transition_id, rule, state, account_id, topic FROM alert_log WHERE i > 0 AND transition_id IN (SELECT transition_id FROM found)
) AS t ON t.transition_id = d.transition_id
LEFT JOIN
(
    SELECT fingerprint, max((episode, sequence)) AS latest FROM alert_log
    WHERE topic != '' AND fingerprint IN (SELECT fingerprint FROM found)
    GROUP BY fingerprint
) AS c ON c.fingerprint = d.fingerprint
ORDER BY delivered_at DESC, destination, transition_id
