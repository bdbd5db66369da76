SELECT account_id, deals, attempts FROM set_aside_accounts FORMAT TSVRaw
