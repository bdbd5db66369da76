-- How many deliveries somebody asked to be tried again that were not yet.
SELECT count() AS n FROM
(
    SELECT transition_id FROM alert_deliveries
    WHERE destination = {destination:String}
      AND transition_id IN (SELECT transition_id FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'again')
    GROUP BY transition_id
    HAVING argMax(outcome, delivered_at) = 'again'
)
