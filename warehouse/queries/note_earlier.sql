-- What was published before a destination was there is not sent to it. The marker of its beginning is written after this, so
-- that whoever dies in between begins again.
INSERT INTO alert_deliveries (destination, transition_id, fingerprint, episode, sequence, delivered_at, outcome)
SELECT {destination:String}, transition_id, fingerprint, episode, sequence, {at:DateTime64(3, 'UTC')}, 'earlier'
FROM alert_log
WHERE topic != '' AND appended_at < {at:DateTime64(3, 'UTC')}
