-- deals: the present of every deal.
-- Example:
--   SELECT band, count(), round(avg(hardness), 1) FROM deals WHERE outcome = 'won' GROUP BY band ORDER BY band;
CREATE OR REPLACE VIEW deals AS
SELECT * FROM deals_at(at = '2249-12-30 00:00:00.000');

-- tickets: the present of every ticket: the greatest of its events by revision, occurred_at, event_id and hash.
-- Example:
--   SELECT status, count() FROM tickets WHERE opened_at > now() - INTERVAL 30 DAY GROUP BY status;
CREATE OR REPLACE VIEW tickets AS
SELECT account_id, ticket_id, event_id, revision, occurred_at, known_at, contract_id, opened_at, status, priority, channel, subject, body,
       tags, category, satisfaction, outage_related, vendor_error, assignee, is_attempt, attempt_at, classes, strengths, confidences,
       quotes, found_by, confirmatory, model_version, source_system, source_url
FROM ticket_events
ORDER BY ticket_id, revision DESC, occurred_at DESC, event_id DESC, value_hash DESC, known_at
LIMIT 1 BY ticket_id;

-- attempts: tickets that are renegotiation attempts, one row for each class that a ticket carries.
-- Example:
--   SELECT class, strength, uniqExact(ticket_id) AS tickets FROM attempts GROUP BY class, strength ORDER BY tickets DESC;
CREATE OR REPLACE VIEW attempts AS
SELECT account_id, ticket_id, contract_id, opened_at, attempt_at, subject, class, strength, confidence, quote, found_by,
       if(confirmatory, 'confirmatory', 'leading') AS signal, model_version, known_from AS known_at
FROM
(
    SELECT * EXCEPT (found_by, confirmatory), class, strength, confidence, quote, found AS found_by, confirms AS confirmatory
    FROM attempt_versions FINAL
    ARRAY JOIN classes AS class, strengths AS strength, confidences AS confidence, quotes AS quote, found_by AS found, confirmatory AS confirms
    WHERE known_to = toDateTime64('2250-01-01 00:00:00', 3, 'UTC')
);

-- links: contract x attempt: this attempt reopens that contract.
-- Example:
--   SELECT basis, count(), round(median(lag_days)) AS median_lag_days FROM links GROUP BY basis;
CREATE OR REPLACE VIEW links AS
SELECT account_id, contract_id, deal_id, ticket_id, attempt_at, lag_days, basis, known_at, classes, strengths, confidences, quotes
FROM links_at(at = '2249-12-30 00:00:00.000');

-- unmatched_attempts: attempts with no contract in force, and the reason.
-- Example:
--   SELECT reason, count() FROM unmatched_attempts GROUP BY reason;
CREATE OR REPLACE VIEW unmatched_attempts AS
SELECT account_id, ticket_id, contract_id, attempt_at, reason, known_from AS known_at
FROM unmatched_versions FINAL
WHERE known_to = toDateTime64('2250-01-01 00:00:00', 3, 'UTC');

-- contract_signals_now: contract_signals as of now.
-- Example:
--   SELECT owner, count(), sum(arr_at_risk) FROM contract_signals_now WHERE band = 'hard' AND attempts_90d > 0 GROUP BY owner;
CREATE OR REPLACE VIEW contract_signals_now AS
SELECT * FROM contract_signals(at = now64(3, 'UTC'));

-- account_risk_now: account_risk as of now.
-- Example:
--   SELECT account_name, attempts_90d, arr_at_risk FROM account_risk_now ORDER BY arr_at_risk DESC LIMIT 10;
CREATE OR REPLACE VIEW account_risk_now AS
SELECT * FROM account_risk(at = now64(3, 'UTC'));

-- freshness: how old the newest record of each source is.
-- Example:
--   SELECT source, newest_known_at, age_minutes FROM freshness;
CREATE OR REPLACE VIEW freshness AS
SELECT * FROM source_freshness(at = now64(3, 'UTC'));

-- set_aside_accounts: accounts of more deals or attempts than clickhouse.max_account_deals and max_account_attempts: their links stay as they were
-- and their alerts hold since then, while all others go on.
-- Example:
--   SELECT account_id, since, deals, attempts FROM set_aside_accounts;
CREATE OR REPLACE VIEW set_aside_accounts AS
SELECT account_id, since, deals, attempts FROM accounts_set_aside FINAL;
