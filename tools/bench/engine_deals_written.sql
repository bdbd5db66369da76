-- ClickHouse's Kafka engine as one would write it, into the same kind of table as ours, without the views that hang on ours.
CREATE TABLE target AS {{.Events}};

CREATE TABLE source
(
    event_id String, deal_id String, account_id String, closed_at DateTime64(3, 'UTC'), currency String,
    signed_price Decimal(18, 4), anticipated_price Decimal(18, 4), annual_value Decimal(18, 4), term_months UInt16,
    negotiation Tuple(rounds Nullable(Int32), ultimatums Nullable(Int32), tone Nullable(Float64))
)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{{.Broker}}', kafka_topic_list = '{{.Topic}}', kafka_group_name = '{{.Group}}',
    kafka_format = 'JSONEachRow', date_time_input_format = 'best_effort';

CREATE MATERIALIZED VIEW reading TO target AS
SELECT event_id, deal_id, account_id, deal_id AS contract_id, closed_at, closed_at AS occurred_at, currency, signed_price, anticipated_price,
    annual_value, term_months, now64(3, 'UTC') AS known_at, _topic AS topic, _partition AS partition, _offset AS offset
FROM source;
