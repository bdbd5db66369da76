package sources

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxTableRows bounds a side table, which is held in memory whole.
const maxTableRows = 5_000_000

// table is a side table: a small CSV that a mapping looks things up in.
type table struct {
	path    string
	columns []string
	rows    []any // of map[string]any
	indexes map[string]map[string]int
}

func loadTable(path string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := newCSVRows(f, ',')
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := &table{path: path, columns: rows.header, rows: []any{}, indexes: map[string]map[string]int{}}
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if r.fault != nil {
			return nil, fmt.Errorf("%s:%d: %s", path, r.line, r.fault.reason)
		}
		if len(t.rows) == maxTableRows {
			return nil, fmt.Errorf("%s: a side table is held in memory and may have %d rows at most", path, maxTableRows)
		}
		t.rows = append(t.rows, r.value)
	}
}

// lookup returns the one row whose column has the value, nil where none has. Several are an error: to take any of
// them would be to guess.
func (t *table) lookup(column, value string) (any, error) {
	index, built := t.indexes[column]
	if !built {
		if !slices.Contains(t.columns, column) {
			return nil, fmt.Errorf("%s has no column %q; it has %q", t.path, column, t.columns)
		}
		index = make(map[string]int, len(t.rows))
		for i, r := range t.rows {
			v := r.(map[string]any)[column].(string)
			if _, twice := index[v]; twice {
				index[v] = -1
			} else {
				index[v] = i
			}
		}
		t.indexes[column] = index
	}
	i, found := index[value]
	switch {
	case !found:
		return nil, nil
	case i < 0:
		return nil, fmt.Errorf("%s has several rows where %s is %q", t.path, column, value)
	}
	return t.rows[i], nil
}
