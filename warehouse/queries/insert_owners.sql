INSERT INTO owners (account_id, known_at, account_executive, account_manager, team)
