-- What a digest is made of: of each alert the latest transition before an instant, where the alert stands open then, or ended
-- since another one. Alerts of the holdout are told to nobody, and so not here.
SELECT
    -- the columns of a log row --
FROM alert_log
WHERE i > 0 AND (fingerprint, episode, sequence) IN
(
    SELECT fingerprint, place.1, place.2
    FROM (SELECT fingerprint, max((episode, sequence)) AS place FROM alert_log WHERE i > 0 AND at < {to:DateTime64(3, 'UTC')} GROUP BY fingerprint)
)
    AND length(identity) > 0 AND arm != 'holdout'
    AND (state IN ('firing', 'reminder', 'acknowledged', 'snoozed') OR state = 'resolved' AND resolved_at >= {from:DateTime64(3, 'UTC')})
ORDER BY value_at_risk DESC NULLS LAST, starts_at, fingerprint
