-- ClickHouse's Kafka engine as one would write it, into the same kind of table as ours, without the views that hang on ours.
CREATE TABLE target AS {{.Events}};

CREATE TABLE source
(
    event_id String, ticket_id String, account_id String, opened_at DateTime64(3, 'UTC'), status String, priority String,
    channel String, subject String, body String, tags Array(String)
)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{{.Broker}}', kafka_topic_list = '{{.Topic}}', kafka_group_name = '{{.Group}}',
    kafka_format = 'JSONEachRow', date_time_input_format = 'best_effort';

-- Our table keeps the body in the payload: so does this one.
CREATE MATERIALIZED VIEW reading TO target AS
SELECT event_id, ticket_id, account_id, opened_at, opened_at AS occurred_at, status, priority, channel, subject, tags,
    now64(3, 'UTC') AS known_at, _topic AS topic, _partition AS partition, _offset AS offset, body AS payload
FROM source;
