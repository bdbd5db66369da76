package warehouse

import (
	"strconv"
	"strings"
)

// stringArray writes a query parameter of type Array(String).
func stringArray(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// int64Array writes a query parameter of type Array(Int64).
func int64Array(values []int64) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = strconv.FormatInt(v, 10)
	}
	return "[" + strings.Join(texts, ",") + "]"
}
