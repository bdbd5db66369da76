-- Takes away what this upkeep no longer found on the touched accounts.
INSERT INTO unmatched_versions
SELECT * REPLACE ({version:UInt64} AS version, 1 AS is_deleted)
FROM unmatched_versions AS old FINAL
WHERE old.account_id IN (SELECT account_id FROM touched) AND old.version < {version:UInt64}
