INSERT INTO moved_ids (account_id, kind, id)
