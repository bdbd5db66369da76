-- What people were told of and that is not over: of each fingerprint the latest published transition, where that is no resolve.
SELECT
    -- the columns of a log row --
FROM alert_log
WHERE topic != '' AND state != 'resolved' AND (fingerprint, episode, sequence) IN
(
    SELECT fingerprint, place.1, place.2
    FROM (SELECT fingerprint, max((episode, sequence)) AS place FROM alert_log WHERE topic != '' GROUP BY fingerprint)
)
ORDER BY fingerprint
