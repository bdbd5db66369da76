-- links_at(at): which attempt reopens which contract, as known at an instant, of the attempts made until then.
-- Example:
--   SELECT contract_id, ticket_id, lag_days, classes FROM links_at(at = '2026-01-01 00:00:00') WHERE account_id = 'acc-0001';
CREATE OR REPLACE VIEW links_at AS
SELECT account_id, contract_id, deal_id, ticket_id, attempt_at, lag_days, basis, known_from AS known_at,
       classes, strengths, confidences, quotes, confirmatory
FROM link_versions FINAL
WHERE known_from <= {at:DateTime64(3, 'UTC')} AND known_to > {at:DateTime64(3, 'UTC')}
  AND attempt_at <= {at:DateTime64(3, 'UTC')};
