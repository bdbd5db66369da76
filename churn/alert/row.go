package alert

// Row is one row of a rule's query: a value is a string, bool, int64, float64, time.Time (UTC), OptionalMoney, []any or nil.
type Row map[string]any

// Column is one column of a query, with its ClickHouse type.
type Column struct{ Name, Type string }
