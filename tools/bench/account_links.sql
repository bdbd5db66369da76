-- Lags in milliseconds: days would differ in the rounding of their last digit.
SELECT account_id, contract_id, deal_id, ticket_id, round(lag_days * 86400000) AS lag, basis
FROM links WHERE account_id = 'the_account' ORDER BY ALL FORMAT TabSeparated
