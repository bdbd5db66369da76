-- What was refused and nobody asked to be tried again since.
SELECT fingerprint, episode, sequence, transition_id
FROM alert_deliveries FINAL
WHERE outcome = 'refused' AND destination = {destination:String}
  AND transition_id IN (SELECT transition_id FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'refused')
