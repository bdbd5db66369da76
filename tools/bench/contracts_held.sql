SELECT uniqExact(account_id, contract_id) FROM deal_versions WHERE outcome = 'won' FORMAT TSVRaw
