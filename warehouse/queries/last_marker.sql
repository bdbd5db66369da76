SELECT
    -- the columns of a log row --
FROM alert_log
WHERE group_name = {group:String} AND i = 0
ORDER BY n DESC
LIMIT 1
