{deal_id: $line}
