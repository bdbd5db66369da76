-- links_at(at): which attempt reopens which contract, as known at an instant, of the attempts made until then.
-- Example:
--   SELECT contract_id, ticket_id, lag_days, classes FROM links_at(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW links_at AS
SELECT account_id, contract_id, deal_id, ticket_id, attempt_at, lag_days, basis, known_from AS known_at,
       classes, strengths, confidences, quotes, confirmatory
FROM link_versions FINAL
WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
  AND attempt_at <= {at:DateTime64(3, 'UTC')} AND contract_id != ''
UNION ALL
-- An attempt that names no contract reopens each that was in force.
SELECT a.account_id AS account_id, f.contract_id AS contract_id, f.deal_id AS deal_id, a.ticket_id AS ticket_id, a.attempt_at AS attempt_at,
       (intDiv(dateDiff('millisecond', f.closed_at, a.attempt_at) AS lag, 3600000) + (lag % 3600000) * 1000000 / 3600000000000) / 24 AS lag_days, -- to the last digit as those that are stored
       a.basis AS basis, greatest(a.known_from, f.known_from) AS known_at,
       a.classes AS classes, a.strengths AS strengths, a.confidences AS confidences, a.quotes AS quotes, a.confirmatory AS confirmatory
FROM
(
    SELECT * FROM link_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
      AND attempt_at <= {at:DateTime64(3, 'UTC')} AND contract_id = ''
) AS a
INNER JOIN
(
    SELECT * FROM in_force_versions FINAL
    WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND since <= {at:DateTime64(3, 'UTC')}
) AS f ON f.account_id = a.account_id AND f.since <= a.attempt_at AND f.till > a.attempt_at;

-- linked_attempts_at(at): the attempts that reopen a contract, each once, however many it reopens; as known at an instant, of those made until then.
-- Example:
--   SELECT account_id, count(), max(attempt_at) FROM linked_attempts_at(at = '2026-01-01 00:00:00') GROUP BY account_id ORDER BY 2 DESC LIMIT 10;
CREATE OR REPLACE VIEW linked_attempts_at AS
SELECT account_id, ticket_id, attempt_at, basis, known_from AS known_at, classes, strengths, confidences, quotes, confirmatory
FROM link_versions FINAL
WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')} AND attempt_at <= {at:DateTime64(3, 'UTC')}
-- an older build stored a row for each contract
LIMIT 1 BY account_id, ticket_id;
