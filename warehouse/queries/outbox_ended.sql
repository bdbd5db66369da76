-- The last published transition of alerts whose newest transition, published or not, resolved them before an instant.
SELECT toString(told.2) AS topic, told.3 AS key, told.1 AS transition_id, fingerprint, place.1 AS episode, place.2 AS sequence
FROM
(
    SELECT fingerprint,
        argMax((state, at), (episode, sequence)) AS newest,
        argMaxIf((transition_id, topic, key), (episode, sequence), topic != '') AS told,
        maxIf((episode, sequence), topic != '') AS place
    FROM alert_log
    WHERE i > 0 AND fingerprint > {after:String}
    GROUP BY fingerprint
)
WHERE newest.1 = 'resolved' AND newest.2 < {before:DateTime64(3, 'UTC')} AND told.2 != '' AND sipHash128(told.1) NOT IN
(
    SELECT sipHash128(transition_id) FROM alert_deliveries WHERE destination = {destination:String}
)
ORDER BY fingerprint
LIMIT {limit:UInt64}
