SELECT fingerprint, latest.1 AS episode, latest.2 AS sequence
FROM
(
    SELECT fingerprint, max((episode, sequence)) AS latest
    FROM alert_deliveries
    WHERE destination = {destination:String} AND transition_id != ''
    GROUP BY fingerprint
)
