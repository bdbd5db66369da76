-- A header may say that a fact is known at an instant to come. Until then it would be seen by nobody, so it is known when it is stored, and what
-- the header said stands beside that: the clock that is wrong may be ours.

-- +goose Up
ALTER TABLE deal_events ADD COLUMN known_at_claimed Nullable(DateTime64(3, 'UTC')) COMMENT 'what the header aftershock-known-at said, where that was more than five minutes ahead of our clock';
ALTER TABLE ticket_events ADD COLUMN known_at_claimed Nullable(DateTime64(3, 'UTC')) COMMENT 'what the header aftershock-known-at said, where that was more than five minutes ahead of our clock';
ALTER TABLE feedback ADD COLUMN known_at_claimed Nullable(DateTime64(3, 'UTC')) COMMENT 'what the header aftershock-known-at said, where that was more than five minutes ahead of our clock';

-- +goose Down
ALTER TABLE deal_events DROP COLUMN known_at_claimed;
ALTER TABLE ticket_events DROP COLUMN known_at_claimed;
ALTER TABLE feedback DROP COLUMN known_at_claimed;
