-- Events as they were accepted, append-only. A record that was read twice stands twice, with the same Kafka position;
-- every view counts an event once. Not partitioned, so that a chunk is one atomic insert.
-- The sort key leads with the account because upkeep and views read by account, of many accounts little each: hence granules
-- that are small.

-- +goose Up
CREATE TABLE deal_events
(
    account_id        String COMMENT 'the client',
    deal_id           String,
    event_id          String COMMENT 'copies of one event share it',
    revision          Int64 COMMENT 'greater is newer; then occurred_at, event_id and value_hash decide',
    occurred_at       DateTime64(3, 'UTC') COMMENT 'time at the source',
    value_hash        FixedString(32) COMMENT 'SHA-256 of the record''s value',
    known_at          DateTime64(3, 'UTC') COMMENT 'when a consumer stamped the chunk that stored it, or the header aftershock-known-at',
    account_name      String,
    segment           LowCardinality(String),
    contract_id       String COMMENT 'deal_id where the source named none',
    renewal_of        String COMMENT 'the contract that this deal continues under its own id; empty: none',
    deal_type         LowCardinality(String) COMMENT 'new, renewal, expansion, downgrade',
    outcome           LowCardinality(String) COMMENT 'won, lost; a lost renewal is churn',
    currency          LowCardinality(String) COMMENT 'ISO 4217; all amounts of the row are in it',
    signed_price      Nullable(Decimal(18, 4)),
    list_price        Nullable(Decimal(18, 4)),
    anticipated_price Nullable(Decimal(18, 4)) COMMENT 'what the client expected to pay',
    annual_value      Nullable(Decimal(18, 4)),
    term_months       UInt16 COMMENT '0: not given',
    closed_at         DateTime64(3, 'UTC'),
    ends_at           DateTime64(3, 'UTC') COMMENT 'as given, else closed_at plus term_months (UTC calendar, clamped to the month), else closed_at plus 365 days',
    ends_at_given     Bool,
    account_executive String,
    account_manager   String,
    team              LowCardinality(String),
    negotiation_known Bool COMMENT 'the source told something of the negotiation',
    hardness          Nullable(Float64) COMMENT '0..100; null where the band is unknown',
    band              LowCardinality(String) COMMENT 'soft, firm, hard, unknown',
    coverage          Float64 COMMENT '0..1: the share of the model''s weight whose inputs were known',
    components        Array(LowCardinality(String)) COMMENT 'what contributed, largest first',
    component_values  Array(Float64) COMMENT 'each component''s own measure',
    component_points  Array(Float64) COMMENT 'signed points of the score',
    component_evidence Array(String) COMMENT 'a sentence for each',
    missing           Array(LowCardinality(String)) COMMENT 'inputs that the source did not give',
    discount_depth    Nullable(Float64) COMMENT '1 - signed / list; not part of the score',
    model_version     LowCardinality(String),
    source_system     LowCardinality(String),
    source_url        String,
    topic             LowCardinality(String),
    partition         Int32,
    offset            Int64,
    record_time       DateTime64(3, 'UTC') COMMENT 'the record''s own timestamp, kept and not used',
    payload           String COMMENT 'the record''s value, whole' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (account_id, deal_id, event_id)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 10000
COMMENT 'every deal record ever accepted, with its Kafka position, when it became known, and its hardness';

CREATE TABLE ticket_events
(
    account_id      String COMMENT 'the client',
    ticket_id       String,
    event_id        String COMMENT 'copies of one event share it',
    revision        Int64 COMMENT 'greater is newer; then occurred_at, event_id and value_hash decide',
    occurred_at     DateTime64(3, 'UTC') COMMENT 'time at the source',
    value_hash      FixedString(32) COMMENT 'SHA-256 of the record''s value',
    known_at        DateTime64(3, 'UTC') COMMENT 'when a consumer stamped the chunk that stored it, or the header aftershock-known-at',
    contract_id     String COMMENT 'as the ticket names it; empty: none',
    opened_at       DateTime64(3, 'UTC'),
    status          LowCardinality(String),
    priority        LowCardinality(String),
    channel         LowCardinality(String),
    subject         String,
    body            String ALIAS JSONExtractString(payload, 'body') COMMENT 'read from the payload',
    tags            Array(LowCardinality(String)),
    category        LowCardinality(String),
    satisfaction    Nullable(Float64) COMMENT 'on the source''s own scale',
    outage_related  Bool,
    vendor_error    Bool,
    assignee        String,
    is_attempt      Bool COMMENT 'carries at least one class of renegotiation',
    attempt_at      DateTime64(3, 'UTC') COMMENT 'when the earliest classified words were said; opened_at where there are none',
    classes         Array(LowCardinality(String)) COMMENT 'strongest first',
    strengths       Array(LowCardinality(String)) COMMENT 'strong, medium, weak; one for each class',
    confidences     Array(Float64) COMMENT '0..1; one for each class',
    quotes          Array(String) COMMENT 'the client''s words; one for each class',
    found_by        Array(LowCardinality(String)) COMMENT 'which phrase, tag or category of the model; one for each class',
    confirmatory    Array(Bool) COMMENT 'confirms a decision rather than leading it; one for each class',
    model_version   LowCardinality(String),
    source_system   LowCardinality(String),
    source_url      String,
    topic           LowCardinality(String),
    partition       Int32,
    offset          Int64,
    record_time     DateTime64(3, 'UTC') COMMENT 'the record''s own timestamp, kept and not used',
    payload         String COMMENT 'the record''s value, whole' CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (account_id, ticket_id, event_id)
SETTINGS index_granularity = 256, non_replicated_deduplication_window = 10000
COMMENT 'every ticket record ever accepted, with its Kafka position, when it became known, and its classes';

CREATE TABLE rejected_events
(
    rejected_at DateTime64(3, 'UTC'),
    topic       LowCardinality(String),
    partition   Int32,
    offset      Int64,
    record_time DateTime64(3, 'UTC'),
    code        LowCardinality(String) COMMENT 'stable, for example missing_field',
    field       String COMMENT 'JSON path; empty: the whole value',
    reason      String,
    key         String,
    value_size  UInt64 COMMENT 'bytes',
    value_hash  FixedString(32) COMMENT 'SHA-256 of the value, which the dead-letter topic holds whole',
    excerpt     String COMMENT 'the first bytes of the value'
)
ENGINE = ReplacingMergeTree(rejected_at)
ORDER BY (topic, partition, offset)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'records that could not become events, and why';

-- Which ids arrived at which Kafka position: how upkeep finds the accounts to bring up to date without a clock.
CREATE TABLE arrivals
(
    topic      LowCardinality(String),
    partition  Int32,
    offset     Int64,
    kind       Enum8('deal' = 1, 'ticket' = 2, 'attempt' = 3) COMMENT 'attempt: a ticket that this event calls one',
    id         String COMMENT 'deal_id or ticket_id',
    account_id String
)
ENGINE = MergeTree
ORDER BY (topic, partition, offset)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000
COMMENT 'ids by Kafka position, for upkeep';

CREATE MATERIALIZED VIEW deal_arrivals TO arrivals AS
SELECT topic, partition, offset, 'deal' AS kind, deal_id AS id, account_id FROM deal_events;

CREATE MATERIALIZED VIEW ticket_arrivals TO arrivals AS
SELECT topic, partition, offset, if(is_attempt, 'attempt', 'ticket') AS kind, ticket_id AS id, account_id FROM ticket_events;

-- One row for each source and stamp: how fresh a source was at any instant, without reading its events.
CREATE TABLE source_stamps
(
    source      LowCardinality(String) COMMENT 'deals or tickets',
    known_at    DateTime64(3, 'UTC'),
    occurred_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    records     SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (source, known_at)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000
COMMENT 'when records of each source became known';

CREATE MATERIALIZED VIEW deal_stamps TO source_stamps AS
SELECT 'deals' AS source, known_at, max(deal_events.occurred_at) AS occurred_at, count() AS records
FROM deal_events GROUP BY source, known_at;

CREATE MATERIALIZED VIEW ticket_stamps TO source_stamps AS
SELECT 'tickets' AS source, known_at, max(ticket_events.occurred_at) AS occurred_at, count() AS records
FROM ticket_events GROUP BY source, known_at;

-- +goose Down
SELECT throwIf(1, 'events are never dropped by a migration');
