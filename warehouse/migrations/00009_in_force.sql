-- An attempt that names no contract reopens every contract of its account that was in force: attempts x contracts rows, which a large account
-- could fill the disk with. It is stored once, and so is when each contract was in force; views join the two. Rows of an older build, one a
-- contract, stay right as they are, until their account is linked anew.

-- +goose Up
CREATE TABLE in_force_versions
(
    account_id  String,
    contract_id String,
    since       DateTime64(3, 'UTC') COMMENT 'attempts from here on reopen the contract, inclusive',
    known_from  DateTime64(3, 'UTC') COMMENT 'inclusive',
    known_to    DateTime64(3, 'UTC') COMMENT 'exclusive; 2250-01-01 while it is the present',
    till        DateTime64(3, 'UTC') COMMENT 'attempts from here on do not, exclusive',
    deal_id     String COMMENT 'the contract''s base for these attempts',
    closed_at   DateTime64(3, 'UTC') COMMENT 'of the base',
    digest      UInt64 COMMENT 'of till and the base',
    version     UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted  UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account_id, contract_id, since, known_from)
SETTINGS index_granularity = 128
COMMENT 'when each contract was in force, over the time of knowing';

ALTER TABLE link_versions COMMENT COLUMN contract_id 'empty where basis is account: each contract that was in force, as in_force_versions says';
ALTER TABLE link_versions COMMENT COLUMN deal_id 'the contract''s base at the time of the attempt; empty where contract_id is';
ALTER TABLE link_versions COMMENT COLUMN lag_days 'from the base''s closed_at to the attempt; 0 where contract_id is empty';

-- +goose Down
SELECT throwIf(1, 'versions are never dropped by a migration');
