-- Dead letters that can be worked with: when a refused record became known, whose it is, and what replays did.

-- +goose Up
ALTER TABLE rejected_events
    ADD COLUMN source LowCardinality(String) COMMENT 'deals or tickets; empty: refused before this was noted',
    ADD COLUMN known_at DateTime64(3, 'UTC') DEFAULT rejected_at COMMENT 'rejected_at, or the header aftershock-known-at: the past looks as it was, also when history is imported',
    ADD COLUMN replay_of String COMMENT 'topic/partition/offset of the record that was first refused, where a replay sent this one';

CREATE TABLE replays
(
    replay_of   String COMMENT 'topic/partition/offset of the record that was first refused',
    topic       LowCardinality(String) COMMENT 'where the replay put it',
    partition   Int32,
    offset      Int64 COMMENT '-1: the event was stored already, nothing was sent',
    account_id  String COMMENT 'of the event that it became',
    id          String COMMENT 'deal_id or ticket_id',
    event_id    String,
    value_hash  FixedString(32) COMMENT 'SHA-256 of the value that was sent',
    replayed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(replayed_at)
ORDER BY (replay_of, topic, partition, offset)
SETTINGS index_granularity = 1024
COMMENT 'dead letters that were sent to their topic again';

-- +goose Down
SELECT throwIf(1, 'data is never dropped by a migration');
