-- What of each fingerprint was refused last, where nobody asked for another try.
SELECT fingerprint, latest.1 AS episode, latest.2 AS sequence
FROM
(
    SELECT fingerprint, max((episode, sequence)) AS latest
    FROM alert_deliveries FINAL
    WHERE outcome = 'refused' AND destination = {destination:String}
      AND transition_id IN (SELECT transition_id FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'refused')
    GROUP BY fingerprint
)
