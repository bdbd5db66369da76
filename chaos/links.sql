-- What upkeep keeps, in the form of expected_links.sql.
SELECT account_id, contract_id, deal_id, ticket_id, round(lag_days, 6), basis, toUnixTimestamp64Milli(attempt_at) FROM links ORDER BY ALL FORMAT TabSeparated
