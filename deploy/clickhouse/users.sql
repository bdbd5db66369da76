-- Users of the warehouse, for a ClickHouse server whose users are kept in SQL. An administrator runs this once, before the first
-- `aftershock migrate`, and again after an upgrade: what exists is left alone, grants are given again.
--
--   clickhouse-client --user admin --ask-password \
--     --param_migrator_password="$(cat migrator)" --param_pipeline_password="$(cat pipeline)" --param_analyst_password="$(cat analyst)" \
--     --queries-file deploy/clickhouse/users.sql
--
-- The database is `aftershock`; replace the name here where clickhouse.database has another.

-- Who may migrate. Its user owns the materialised views, which work in its name: keep it, with its grants, as long as the tables.
CREATE ROLE IF NOT EXISTS aftershock_migrate;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER TABLE, ALTER VIEW, SELECT, INSERT ON aftershock.* TO aftershock_migrate;
GRANT TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree, TABLE ENGINE ON AggregatingMergeTree TO aftershock_migrate;

-- The pipeline reads and adds. It changes and removes nothing, and creates nothing that stays: lists of ids are
-- sent along with a query. It looks whether statements of an earlier leader still run.
CREATE ROLE IF NOT EXISTS aftershock_run;
GRANT SELECT, INSERT ON aftershock.* TO aftershock_run;
GRANT CREATE TEMPORARY TABLE ON *.* TO aftershock_run;
GRANT SELECT(query_id) ON system.processes TO aftershock_run;

-- Analysts read the views, and the tables that these read in the name of whoever asks. Not: what upkeep and the relay keep for
-- themselves, and the ledger of migrations.
CREATE ROLE IF NOT EXISTS aftershock_read;
GRANT SELECT ON aftershock.deals_at, SELECT ON aftershock.links_at, SELECT ON aftershock.linked_attempts_at,
    SELECT ON aftershock.contract_attempts, SELECT ON aftershock.contract_signals,
    SELECT ON aftershock.account_risk, SELECT ON aftershock.source_freshness, SELECT ON aftershock.rejections,
    SELECT ON aftershock.deals, SELECT ON aftershock.tickets, SELECT ON aftershock.attempts, SELECT ON aftershock.links,
    SELECT ON aftershock.unmatched_attempts, SELECT ON aftershock.set_aside_accounts, SELECT ON aftershock.contract_signals_now, SELECT ON aftershock.account_risk_now,
    SELECT ON aftershock.freshness, SELECT ON aftershock.hardness_contributions, SELECT ON aftershock.missing_inputs, SELECT ON aftershock.outcomes,
    SELECT ON aftershock.alert_current, SELECT ON aftershock.rule_runs, SELECT ON aftershock.dead_letters,
    SELECT ON aftershock.rejections_now
    TO aftershock_read;
GRANT SELECT ON aftershock.deal_events, SELECT ON aftershock.ticket_events, SELECT ON aftershock.rejected_events,
    SELECT ON aftershock.replays, SELECT ON aftershock.source_stamps, SELECT ON aftershock.deal_versions,
    SELECT ON aftershock.attempt_versions, SELECT ON aftershock.link_versions, SELECT ON aftershock.in_force_versions, SELECT ON aftershock.accounts_set_aside,
    SELECT ON aftershock.unmatched_versions,
    SELECT ON aftershock.owners, SELECT ON aftershock.fx, SELECT ON aftershock.settings, SELECT ON aftershock.alert_log,
    SELECT ON aftershock.alert_deliveries, SELECT(fingerprint, event_id, value_hash) ON aftershock.feedback
    TO aftershock_read;

-- Bounds on one query of an analyst. readonly = 2 lets a client set what does not write, as most do, within the bounds.
CREATE SETTINGS PROFILE IF NOT EXISTS aftershock_analyst SETTINGS readonly = 2, max_execution_time = 60 MIN 1 MAX 60, max_memory_usage = 4000000000 MIN 1 MAX 4000000000;

CREATE USER IF NOT EXISTS aftershock_migrator IDENTIFIED WITH sha256_password BY {migrator_password:String};
GRANT aftershock_migrate TO aftershock_migrator;
CREATE USER IF NOT EXISTS aftershock_pipeline IDENTIFIED WITH sha256_password BY {pipeline_password:String};
GRANT aftershock_run TO aftershock_pipeline;
CREATE USER IF NOT EXISTS aftershock_analyst IDENTIFIED WITH sha256_password BY {analyst_password:String} SETTINGS PROFILE aftershock_analyst;
GRANT aftershock_read TO aftershock_analyst;
