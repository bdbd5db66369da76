-- source_freshness(at): how old the newest record of each source was at an instant. A source that never sent anything
-- has no newest record and a null age. records are those of the last day as they were stored: a record that was read twice counts twice.
-- Example:
--   SELECT source, age_minutes FROM source_freshness(at = '2026-01-01 00:00:00');
CREATE OR REPLACE VIEW source_freshness AS
SELECT
    s.source AS source,
    maxIf(toNullable(k.known_at), k.source != '') AS newest_known_at,
    maxIf(toNullable(k.occurred_at), k.source != '') AS newest_occurred_at,
    dateDiff('millisecond', newest_known_at, {at:DateTime64(3, 'UTC')}) / 60000 AS age_minutes,
    sumIf(k.records, k.known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 DAY) AS records
FROM (SELECT arrayJoin(['deals', 'tickets']) AS source) AS s
LEFT JOIN
(
    SELECT source, known_at, occurred_at, records FROM source_stamps
    WHERE known_at <= {at:DateTime64(3, 'UTC')} AND known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 DAY
    UNION ALL
    (SELECT source, known_at, occurred_at, toUInt64(0) FROM source_stamps WHERE source = 'deals' AND known_at <= {at:DateTime64(3, 'UTC')}
     ORDER BY source DESC, known_at DESC LIMIT 1)
    UNION ALL
    (SELECT source, known_at, occurred_at, toUInt64(0) FROM source_stamps WHERE source = 'tickets' AND known_at <= {at:DateTime64(3, 'UTC')}
     ORDER BY source DESC, known_at DESC LIMIT 1)
) AS k ON k.source = s.source
GROUP BY s.source;
