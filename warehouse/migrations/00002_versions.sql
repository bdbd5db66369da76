-- What was the present of each deal, attempt and link, and from when to when that was known. Upkeep alone writes here, and
-- only what differs. A row is replaced by the same key with a greater version; is_deleted takes away what is no longer so.
-- Granules are small because upkeep looks for few rows of each of many accounts, and reads at least a granule for each.

-- +goose Up
CREATE TABLE deal_versions
(
    account_id        String,
    contract_id       String,
    deal_id           String,
    known_from        DateTime64(3, 'UTC') COMMENT 'inclusive',
    known_to          DateTime64(3, 'UTC') COMMENT 'exclusive; 2250-01-01 while it is the present',
    event_id          String,
    revision          Int64,
    occurred_at       DateTime64(3, 'UTC'),
    account_name      String,
    segment           LowCardinality(String),
    renewal_of        String,
    deal_type         LowCardinality(String),
    outcome           LowCardinality(String),
    currency          LowCardinality(String),
    signed_price      Nullable(Decimal(18, 4)),
    list_price        Nullable(Decimal(18, 4)),
    anticipated_price Nullable(Decimal(18, 4)),
    annual_value      Nullable(Decimal(18, 4)),
    term_months       UInt16,
    closed_at         DateTime64(3, 'UTC'),
    ends_at           DateTime64(3, 'UTC'),
    account_executive String,
    account_manager   String,
    team              LowCardinality(String),
    hardness          Nullable(Float64),
    band              LowCardinality(String),
    coverage          Float64,
    components        Array(LowCardinality(String)),
    component_values  Array(Float64),
    component_points  Array(Float64),
    component_evidence Array(String),
    missing           Array(LowCardinality(String)),
    discount_depth    Nullable(Float64),
    model_version     LowCardinality(String),
    source_system     LowCardinality(String),
    source_url        String,
    arr               Nullable(Decimal(18, 4)) ALIAS multiIf(annual_value IS NOT NULL, annual_value,
        term_months > 0, CAST(signed_price * 12 / term_months AS Nullable(Decimal(18, 4))), NULL)
        COMMENT 'annual_value, else signed_price over the term in years, else unknown',
    price_premium     Nullable(Float64) ALIAS if(anticipated_price > 0,
        toFloat64(signed_price - anticipated_price) / toFloat64(anticipated_price), NULL)
        COMMENT '(signed - anticipated) / anticipated',
    digest            UInt64 COMMENT 'of the event, its value and the model: what the row was made from',
    version           UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted        UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account_id, contract_id, deal_id, known_from)
SETTINGS index_granularity = 128
COMMENT 'the present of each deal over the time of knowing';

CREATE TABLE attempt_versions
(
    account_id     String,
    ticket_id      String,
    known_from     DateTime64(3, 'UTC') COMMENT 'inclusive',
    known_to       DateTime64(3, 'UTC') COMMENT 'exclusive; 2250-01-01 while it is the present',
    event_id       String,
    contract_id    String COMMENT 'as the ticket names it',
    opened_at      DateTime64(3, 'UTC'),
    attempt_at     DateTime64(3, 'UTC'),
    subject        String,
    classes        Array(LowCardinality(String)),
    strengths      Array(LowCardinality(String)),
    confidences    Array(Float64),
    quotes         Array(String),
    found_by       Array(LowCardinality(String)),
    confirmatory   Array(Bool),
    model_version  LowCardinality(String),
    digest         UInt64 COMMENT 'of the event, its value and the model: what the row was made from',
    version        UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted     UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account_id, ticket_id, known_from)
SETTINGS index_granularity = 128
COMMENT 'the present of each renegotiation attempt over the time of knowing';

CREATE TABLE link_versions
(
    account_id   String,
    contract_id  String,
    ticket_id    String,
    known_from   DateTime64(3, 'UTC') COMMENT 'inclusive',
    known_to     DateTime64(3, 'UTC') COMMENT 'exclusive; 2250-01-01 while it is the present',
    deal_id      String COMMENT 'the contract''s base at the time of the attempt',
    attempt_at   DateTime64(3, 'UTC'),
    lag_days     Float64 COMMENT 'from the base''s closed_at to the attempt',
    basis        LowCardinality(String) COMMENT 'contract: the ticket names it; account: it was in force on the account',
    classes      Array(LowCardinality(String)),
    strengths    Array(LowCardinality(String)),
    confidences  Array(Float64),
    quotes       Array(String),
    confirmatory Array(Bool),
    digest       UInt64 COMMENT 'of the base and the attempt: what the row was made from',
    version      UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted   UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account_id, contract_id, ticket_id, known_from)
SETTINGS index_granularity = 128
COMMENT 'which attempt reopens which contract, over the time of knowing';

CREATE TABLE unmatched_versions
(
    account_id  String,
    ticket_id   String,
    known_from  DateTime64(3, 'UTC') COMMENT 'inclusive',
    known_to    DateTime64(3, 'UTC') COMMENT 'exclusive; 2250-01-01 while it is the present',
    contract_id String COMMENT 'the contract of its account that the ticket names; empty: none',
    attempt_at  DateTime64(3, 'UTC'),
    reason      LowCardinality(String) COMMENT 'no_contract, before_contract, expired, renewal_lost',
    digest      UInt64 COMMENT 'of the attempt and the reason',
    version     UInt64 COMMENT 'the upkeep that wrote the row',
    is_deleted  UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (account_id, ticket_id, known_from)
SETTINGS index_granularity = 128
COMMENT 'attempts without a contract in force, over the time of knowing';

-- Every account that an id was ever on: reading one account's events alone would leave a moved deal on both.
CREATE TABLE id_accounts
(
    id         String,
    kind       Enum8('deal' = 1, 'ticket' = 2, 'attempt' = 3) COMMENT 'attempt: a ticket that some event calls one',
    account_id String
)
ENGINE = ReplacingMergeTree
ORDER BY (id, kind, account_id)
SETTINGS index_granularity = 128
COMMENT 'accounts by deal or ticket id, for upkeep';

-- Whose turn it is to keep the links: the greatest epoch's. A statement of upkeep writes only while its own is the greatest
-- (docs/adr/0010).
CREATE TABLE upkeep_claims
(
    epoch      UInt64 COMMENT '1, 2, 3, ...; exactly one claimant wins each',
    claimant   String COMMENT 'one of a kind, other than a writer',
    writer     String COMMENT 'the process',
    claimed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY epoch
SETTINGS non_replicated_deduplication_window = 100000
COMMENT 'who kept the links, one after the other';

CREATE TABLE upkeep_runs
(
    version     UInt64 COMMENT 'the epoch in the upper 32 bits; rows that this upkeep wrote carry it',
    writer      String,
    started_at  DateTime64(3, 'UTC'),
    finished_at DateTime64(3, 'UTC'),
    topics      Array(String),
    partitions  Array(Int32),
    offsets     Array(Int64) COMMENT 'first offset not yet taken in, for each topic and partition',
    tails       Array(UInt64) COMMENT 'hash of the last ids below each offset: others there tell that the topic was made anew',
    accounts    UInt64 COMMENT 'accounts brought up to date'
)
ENGINE = MergeTree
ORDER BY version
COMMENT 'how far upkeep has come';

-- Who answers for an account, as imported: supersedes what the deal said.
CREATE TABLE owners
(
    account_id        String,
    known_at          DateTime64(3, 'UTC'),
    account_executive String,
    account_manager   String,
    team              String
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, known_at)
COMMENT 'owners imported with aftershock import owners';

CREATE TABLE fx
(
    currency   LowCardinality(String),
    valid_from DateTime64(3, 'UTC'),
    rate       Decimal(18, 8) COMMENT 'one unit of currency in the reporting currency',
    imported_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(imported_at)
ORDER BY (currency, valid_from)
COMMENT 'exchange rates imported with aftershock import fx';

CREATE TABLE settings
(
    name       String,
    value      String,
    changed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY name
COMMENT 'what views need of the configuration, for example reporting_currency';

-- +goose Down
SELECT throwIf(1, 'versions are never dropped by a migration');
