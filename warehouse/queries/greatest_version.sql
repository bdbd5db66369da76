-- Also of rows that an upkeep wrote which died before it was noted.
SELECT max(version) FROM
(
    SELECT version FROM upkeep_runs
    UNION ALL SELECT version FROM deal_versions
    UNION ALL SELECT version FROM attempt_versions
    UNION ALL SELECT version FROM link_versions
    UNION ALL SELECT version FROM unmatched_versions
)
