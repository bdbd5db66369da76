-- Takes away what this upkeep no longer found on the touched accounts.
INSERT INTO attempt_versions
SELECT * REPLACE ({version:UInt64} AS version, 1 AS is_deleted)
FROM attempt_versions FINAL
WHERE account_id IN (SELECT account_id FROM touched) AND version < {version:UInt64}
