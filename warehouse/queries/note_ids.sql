INSERT INTO id_accounts SELECT kind, id, account_id FROM arrived
