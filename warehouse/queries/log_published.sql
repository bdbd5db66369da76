-- Entries after the given one of each group, whole; the order within a group is the log's, whatever clocks said. A page ends
-- with the entry that fills it: at least one, however large it is.
SELECT
    -- the columns of a log row --
FROM alert_log
WHERE topic != '' AND (group_name, n) IN
(
    SELECT group_name, n
    FROM
    (
        SELECT group_name, n, transitions, sum(transitions) OVER (ORDER BY group_name, n) AS so_far
        FROM
        (
            SELECT group_name, n, count() AS transitions
            FROM alert_log
            WHERE topic != '' AND n > arrayElement({ns:Array(Int64)}, indexOf({groups:Array(String)}, toString(group_name)))
            GROUP BY group_name, n
            ORDER BY group_name, n
            LIMIT {limit:UInt64}
        )
    )
    WHERE so_far - transitions < {limit:UInt64}
)
ORDER BY group_name, n, i
