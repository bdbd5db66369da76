-- What upkeep keeps, in the form of expected_links.sql.
SELECT account_id, contract_id, deal_id, ticket_id, toInt64(round(lag_days * 86400000)), basis, toUnixTimestamp64Milli(attempt_at) FROM links ORDER BY ALL FORMAT TabSeparated
