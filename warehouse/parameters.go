package warehouse

import (
	"strconv"
	"strings"
)

var quote = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// stringArray writes a query parameter of type Array(String).
func stringArray(values []string) string {
	return array(values, func(v string) string { return "'" + quote.Replace(v) + "'" })
}

// int64Array writes a query parameter of type Array(Int64).
func int64Array(values []int64) string {
	return array(values, func(v int64) string { return strconv.FormatInt(v, 10) })
}

// uint64Array writes a query parameter of type Array(UInt64).
func uint64Array(values []uint64) string {
	return array(values, func(v uint64) string { return strconv.FormatUint(v, 10) })
}

func array[V any](values []V, text func(V) string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = text(v)
	}
	return "[" + strings.Join(texts, ",") + "]"
}
