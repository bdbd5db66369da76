{deal_id: 'x'}
