-- The alert log is state and outbox at once: one entry is one insert with the token `group/n`, led by a marker row.
-- Its guarantee rests on the deduplication window (docs/adr/0004), which the program reads back at start.

-- +goose Up
CREATE TABLE alert_log
(
    group_name    LowCardinality(String),
    n             UInt64 COMMENT '1, 2, 3, ... within the group; exactly one writer wins each',
    i             UInt32 COMMENT '0: the marker of the tick; 1..: its transitions in order',
    writer        String,
    appended_at   DateTime64(3, 'UTC'),
    tick          DateTime64(3, 'UTC') COMMENT 'when the schedule said',
    at            DateTime64(3, 'UTC') COMMENT 'the instant looked from',
    tick_status   LowCardinality(String) COMMENT 'run, caught_up, incomplete, missed',
    tick_reason   String,
    run_rules     Array(String),
    run_started   Array(DateTime64(3, 'UTC')),
    run_finished  Array(DateTime64(3, 'UTC')),
    run_rows      Array(UInt64),
    run_status    Array(String),
    run_errors    Array(String),
    transition_id String,
    fingerprint   String,
    episode       UInt32,
    sequence      UInt32,
    rule          LowCardinality(String),
    rule_version  LowCardinality(String),
    state         LowCardinality(String) COMMENT 'firing, reminder, acknowledged, snoozed, resolved; stored only: pending, no_data, error',
    reason        LowCardinality(String),
    severity      LowCardinality(String),
    kind          LowCardinality(String),
    arm           LowCardinality(String) COMMENT 'treatment, holdout',
    starts_at     DateTime64(3, 'UTC'),
    resolved_at   Nullable(DateTime64(3, 'UTC')),
    late          Bool,
    identity      Map(String, String),
    account_id    String,
    contract_id   String,
    labels        Map(String, String),
    annotations   Map(String, String),
    value_at_risk Nullable(Decimal(18, 4)),
    currency      LowCardinality(String),
    topic         LowCardinality(String) COMMENT 'empty: stored, not published',
    key           String,
    header_keys   Array(String),
    header_values Array(String),
    value         String COMMENT 'the exact bytes that are published'
)
ENGINE = MergeTree
ORDER BY (group_name, n, i)
SETTINGS non_replicated_deduplication_window = 100000
COMMENT 'every tick and every transition, in one order for each group';

CREATE TABLE alert_deliveries
(
    destination   LowCardinality(String),
    transition_id String,
    fingerprint   String,
    episode       UInt32,
    sequence      UInt32,
    delivered_at  DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(delivered_at)
ORDER BY (destination, transition_id)
COMMENT 'what was delivered where';

-- +goose Down
SELECT throwIf(1, 'the alert log is never dropped by a migration');
