SELECT count(), groupBitXor(cityHash64(account_id, contract_id, deal_id, ticket_id, basis, known_at)) FROM links WHERE account_id != 'beyond' FORMAT TSVRaw
