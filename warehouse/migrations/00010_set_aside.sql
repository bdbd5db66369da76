-- An account of more deals or attempts than linking has a bound for would keep all others waiting. Its links stay as they are, its
-- alerts hold, and this says so.

-- +goose Up
CREATE TABLE accounts_set_aside
(
    account_id String,
    since      DateTime64(3, 'UTC'),
    deals      UInt64 COMMENT 'versions of deals that it had then',
    attempts   UInt64 COMMENT 'versions of attempts that it had then',
    version    UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY account_id
COMMENT 'accounts that are too large to be linked';

-- +goose Down
DROP TABLE accounts_set_aside;
