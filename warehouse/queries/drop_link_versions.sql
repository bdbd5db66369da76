-- Takes away what this upkeep no longer found on the touched accounts. Mostly that is nothing: the keys are looked at first,
-- and whole rows are read only for those that go.
INSERT INTO link_versions
SELECT * REPLACE ({version:UInt64} AS version, 1 AS is_deleted)
FROM link_versions AS old FINAL
WHERE (old.account_id, old.contract_id, old.ticket_id, old.known_from) IN
(
    SELECT account_id, contract_id, ticket_id, known_from
    FROM link_versions
    WHERE account_id IN (SELECT account_id FROM touched)
    GROUP BY account_id, contract_id, ticket_id, known_from
    HAVING max(version) < {version:UInt64} AND argMax(is_deleted, version) = 0
)
