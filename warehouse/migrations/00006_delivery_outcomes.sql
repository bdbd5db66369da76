-- A destination may refuse a transition for good, may not want it, or may be younger than it.

-- +goose Up
ALTER TABLE alert_deliveries
    ADD COLUMN outcome LowCardinality(String) DEFAULT 'accepted' COMMENT 'accepted, refused (given up), filtered (not asked for), earlier (older than the destination), begun (no transition: when the destination began)',
    ADD COLUMN detail String DEFAULT '' COMMENT 'of a refusal: what the destination answered';

-- +goose Down
ALTER TABLE alert_deliveries DROP COLUMN outcome, DROP COLUMN detail;
