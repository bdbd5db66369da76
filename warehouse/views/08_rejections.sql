-- rejections(at): what was refused of each source, by code, as known at an instant: the hour and the day before it, and what
-- the share of the 28 days before that day lets expect of as many records. Replays that were refused again are left out.
-- Example:
--   SELECT source, code, refused_1h, expected_1h, share_1d, share_before FROM rejections(at = '2026-01-01 00:00:00');
CREATE OR REPLACE VIEW rejections AS
SELECT
    r.source AS source, r.code AS code,
    r.refused_1h AS refused_1h, a.records_1h AS records_1h, share_before * records_1h AS expected_1h,
    r.refused_1d AS refused_1d, a.records_1d AS records_1d, share_before * records_1d AS expected_1d,
    r.refused_1d / a.records_1d AS share_1d,
    if(a.records_before = 0, 0, r.refused_before / a.records_before) AS share_before,
    r.newest.2 AS last_position, r.newest.3 AS last_field, r.newest.1 AS last_known_at
FROM
(
    SELECT
        if(source = '', topic, source) AS source, code,
        countIf(known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR) AS refused_1h,
        countIf(known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 DAY) AS refused_1d,
        count() - refused_1d AS refused_before,
        argMax(tuple(known_at, format('{}/{}/{}', topic, partition, offset), field), tuple(known_at, offset)) AS newest
    FROM rejected_events FINAL
    WHERE known_at <= {at:DateTime64(3, 'UTC')} AND known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 29 DAY AND replay_of = ''
    GROUP BY source, code
    HAVING refused_1d > 0
) AS r
LEFT JOIN
(
    SELECT
        source,
        sumIf(records, known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 HOUR) AS records_1h,
        sumIf(records, known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 1 DAY) AS records_1d,
        sum(records) - records_1d AS records_before
    FROM
    (
        SELECT source, known_at, records FROM source_stamps
        WHERE source IN ('deals', 'tickets')
            AND known_at <= {at:DateTime64(3, 'UTC')} AND known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 29 DAY
        UNION ALL
        SELECT if(source = '', topic, source) AS source, known_at, toUInt64(1) AS records FROM rejected_events FINAL
        WHERE known_at <= {at:DateTime64(3, 'UTC')} AND known_at > {at:DateTime64(3, 'UTC')} - INTERVAL 29 DAY AND replay_of = ''
    )
    GROUP BY source
) AS a ON a.source = r.source;
