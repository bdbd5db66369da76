SELECT
    -- the columns of a log row --
FROM alert_log
WHERE group_name = {group:String} AND i > 0
ORDER BY fingerprint, episode DESC, sequence DESC
LIMIT 1 BY fingerprint
