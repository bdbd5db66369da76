INSERT INTO alert_deliveries (
    destination, transition_id, fingerprint, episode, sequence, delivered_at, outcome, detail
)
