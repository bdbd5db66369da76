SELECT
    -- the columns of a log row --
FROM alert_log
WHERE i > 0 AND fingerprint = {fingerprint:String}
ORDER BY episode, sequence
