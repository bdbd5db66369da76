-- The same as fast as it gets: whole lines, one JSONExtract into a tuple, two consumers with a thread each, blocks of 64k rows.
CREATE TABLE target AS {{.Events}};

CREATE TABLE source (line String)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{{.Broker}}', kafka_topic_list = '{{.Topic}}', kafka_group_name = '{{.Group}}',
    kafka_format = 'LineAsString', kafka_num_consumers = 2, kafka_thread_per_consumer = 1, kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536;

CREATE MATERIALIZED VIEW reading TO target AS
WITH JSONExtract(line, $$Tuple(event_id String, deal_id String, account_id String, closed_at DateTime64(3, 'UTC'), currency LowCardinality(String),
    signed_price Decimal(18, 4), anticipated_price Decimal(18, 4), annual_value Decimal(18, 4), term_months UInt16,
    negotiation Tuple(rounds Nullable(Int32), ultimatums Nullable(Int32), tone Nullable(Float64)))$$) AS deal
SELECT deal.event_id AS event_id, deal.deal_id AS deal_id, deal.account_id AS account_id, deal.deal_id AS contract_id,
    deal.closed_at AS closed_at, deal.closed_at AS occurred_at, deal.currency AS currency, deal.signed_price AS signed_price,
    deal.anticipated_price AS anticipated_price, deal.annual_value AS annual_value, deal.term_months AS term_months,
    now64(3, 'UTC') AS known_at, _topic AS topic, _partition AS partition, _offset AS offset, line AS payload
FROM source;
