-- What of each fingerprint was delivered last; a delivery that is to be tried again was none.
SELECT fingerprint, latest.1 AS episode, latest.2 AS sequence
FROM
(
    SELECT fingerprint, max((episode, sequence)) AS latest
    FROM alert_deliveries
    WHERE destination = {destination:String} AND transition_id != '' AND transition_id NOT IN
    (
        SELECT transition_id FROM alert_deliveries
        WHERE destination = {destination:String}
          AND transition_id IN (SELECT transition_id FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'again')
        GROUP BY transition_id
        HAVING argMax(outcome, delivered_at) = 'again'
    )
    GROUP BY fingerprint
)
