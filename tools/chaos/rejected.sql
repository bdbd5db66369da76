SELECT topic, partition, offset, code FROM rejected_events FINAL FORMAT TabSeparated
