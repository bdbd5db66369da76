-- The accounts that the rules tell of.
SELECT DISTINCT account_id FROM ticket_events WHERE cityHash64(account_id) % {share:UInt64} = 0 FORMAT TabSeparated
