-- What a destination must have at last of each fingerprint, and the entry that brought it. Bytes are not read.
SELECT toString(g) AS group_name, last AS n, toString(at_topic) AS topic, key, id AS transition_id, fingerprint, latest.1 AS episode, latest.2 AS sequence
FROM
(
    SELECT group_name AS g, topic AS at_topic, key, any(fingerprint) AS fingerprint, max(n) AS last,
        max((episode, sequence)) AS latest, argMax(transition_id, (episode, sequence)) AS id
    FROM alert_log
    WHERE topic != ''
    GROUP BY g, at_topic, key
)
