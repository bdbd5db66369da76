INSERT INTO alert_log (
    -- the columns of a log row --
)
