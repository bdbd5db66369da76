-- Published transitions of which no delivery is noted: still to be delivered, or delivered by a process that died before it
-- said so; and those that were refused and are to be tried again. Hashes of ids, because the server holds all that were noted in memory.
SELECT group_name, n, topic, key, transition_id, fingerprint, episode, sequence
FROM alert_log
WHERE topic != '' AND (sipHash128(transition_id) NOT IN
(
    SELECT sipHash128(transition_id) FROM alert_deliveries WHERE destination = {destination:String}
)
OR transition_id IN
(
    SELECT transition_id FROM alert_deliveries
    WHERE destination = {destination:String}
      AND transition_id IN (SELECT transition_id FROM alert_deliveries WHERE destination = {destination:String} AND outcome = 'again')
    GROUP BY transition_id
    HAVING argMax(outcome, delivered_at) = 'again'
))
