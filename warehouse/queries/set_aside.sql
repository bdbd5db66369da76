SELECT account_id, since, deals, attempts FROM set_aside_accounts ORDER BY account_id
