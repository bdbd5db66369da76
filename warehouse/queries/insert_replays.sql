INSERT INTO replays (replay_of, topic, partition, offset, account_id, id, event_id, value_hash, replayed_at)
