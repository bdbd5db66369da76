-- The same as fast as it gets: whole lines, one JSONExtract into a tuple, two consumers with a thread each, blocks of 64k rows.
CREATE TABLE target AS {{.Events}};

CREATE TABLE source (line String)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{{.Broker}}', kafka_topic_list = '{{.Topic}}', kafka_group_name = '{{.Group}}',
    kafka_format = 'LineAsString', kafka_num_consumers = 2, kafka_thread_per_consumer = 1, kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536;

CREATE MATERIALIZED VIEW reading TO target AS
WITH JSONExtract(line, $$Tuple(event_id String, ticket_id String, account_id String, opened_at DateTime64(3, 'UTC'), status LowCardinality(String),
    priority LowCardinality(String), channel LowCardinality(String), subject String, tags Array(String))$$) AS ticket
SELECT ticket.event_id AS event_id, ticket.ticket_id AS ticket_id, ticket.account_id AS account_id, ticket.opened_at AS opened_at,
    ticket.opened_at AS occurred_at, ticket.status AS status, ticket.priority AS priority, ticket.channel AS channel, ticket.subject AS subject,
    ticket.tags AS tags, now64(3, 'UTC') AS known_at, _topic AS topic, _partition AS partition, _offset AS offset, line AS payload
FROM source;
