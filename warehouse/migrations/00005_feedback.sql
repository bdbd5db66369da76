-- What people did with alerts, and what the lifecycle needs to remember of an alert for it.

-- +goose Up
CREATE TABLE feedback
(
    stored_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when it was stored; known_at of history is earlier',
    event_id      String COMMENT 'copies of one feedback share it; the first counts',
    fingerprint   String,
    episode       UInt32 COMMENT 'that the person saw; 0: the one that stood then',
    action        LowCardinality(String) COMMENT 'ack, snooze, close, judge',
    by            String COMMENT 'who',
    reason        String COMMENT 'why, in their words',
    disposition   LowCardinality(String) COMMENT 'true, false, benign_outage, benign_billing_error; empty: not said',
    snoozed_until DateTime64(3, 'UTC') COMMENT '1970: no snooze',
    occurred_at   DateTime64(3, 'UTC') COMMENT '1970: not said',
    value_hash    FixedString(32) COMMENT 'SHA-256 of the record''s value',
    known_at      DateTime64(3, 'UTC') COMMENT 'when a consumer stamped the chunk that stored it, or the header aftershock-known-at',
    topic         LowCardinality(String),
    partition     Int32,
    offset        Int64,
    record_time   DateTime64(3, 'UTC') COMMENT 'the record''s own timestamp, kept and not used',
    payload       String COMMENT 'the record''s value, whole' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (stored_at, event_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'every feedback record ever accepted';

-- Alerts from before are taken as told where they were published.
ALTER TABLE alert_log
    ADD COLUMN happened_at DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC') COMMENT 'when the fact behind it happened; 1970: the rule does not say',
    ADD COLUMN held_since DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC') COMMENT 'since when the row is gone and keep_firing_for holds; 1970: it is there',
    ADD COLUMN snoozed_until DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC') COMMENT 'of the last snooze',
    ADD COLUMN closed Bool DEFAULT false COMMENT 'by a person, and the row has not gone since',
    ADD COLUMN escalated Bool DEFAULT false COMMENT 'nobody acknowledged it in time',
    ADD COLUMN feedback_id String DEFAULT '' COMMENT 'of the feedback that made this transition',
    ADD COLUMN feedback_by String DEFAULT '' COMMENT 'who last gave feedback in this episode',
    ADD COLUMN feedback_reason String DEFAULT '' COMMENT 'what they said',
    ADD COLUMN disposition LowCardinality(String) DEFAULT '' COMMENT 'what they found',
    ADD COLUMN told_episode UInt32 DEFAULT if(topic != '' OR reason IN ('holding', 'condition_returned'), episode, 0) COMMENT 'the last episode that people were told of',
    ADD COLUMN told_state LowCardinality(String) DEFAULT if(topic != '', state, '') COMMENT 'what they were told of it last',
    ADD COLUMN told_first DateTime64(3, 'UTC') DEFAULT at,
    ADD COLUMN told_last DateTime64(3, 'UTC') DEFAULT at,
    ADD COLUMN told_this_week UInt32 DEFAULT 0 COMMENT 'episodes first told in the week of told_first',
    ADD COLUMN untold LowCardinality(String) DEFAULT '' COMMENT 'why people were not told: holdout, owner_maximum, catch_up',
    ADD COLUMN feedback_ids Array(String) DEFAULT [] COMMENT 'of the marker: the feedback that this entry is the answer to',
    ADD COLUMN feedback_outcomes Array(String) DEFAULT [] COMMENT 'applied, or why it changed nothing';

-- +goose Down
ALTER TABLE alert_log
    DROP COLUMN happened_at, DROP COLUMN held_since, DROP COLUMN snoozed_until, DROP COLUMN closed, DROP COLUMN escalated, DROP COLUMN feedback_id,
    DROP COLUMN feedback_by, DROP COLUMN feedback_reason, DROP COLUMN disposition, DROP COLUMN told_episode, DROP COLUMN told_state,
    DROP COLUMN told_first, DROP COLUMN told_last, DROP COLUMN told_this_week, DROP COLUMN untold, DROP COLUMN feedback_ids, DROP COLUMN feedback_outcomes;
DROP TABLE feedback;
