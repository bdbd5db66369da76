SELECT count() FROM ticket_events WHERE account_id = {account:String}
