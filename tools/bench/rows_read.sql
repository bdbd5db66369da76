SELECT sum(value) FROM system.events WHERE event = 'SelectedRows'
