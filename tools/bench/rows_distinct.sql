SELECT uniqExact(partition, offset) FROM {table:Identifier}
