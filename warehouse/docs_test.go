package warehouse

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/warehouse.md")

const docsFile = "../docs/warehouse.md"

// docs/warehouse.md is what the server and the .sql files say. Regenerate it with: make docs
func TestDocs(t *testing.T) {
	w := open(t)
	text := docs(t, w)
	if *update {
		if err := os.WriteFile(docsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != text {
		t.Errorf("%s is not what the schema says; try: make docs", docsFile)
	}
}

func docs(t *testing.T, w *Warehouse) string {
	var b strings.Builder
	b.WriteString("# The warehouse\n\nWritten by `make docs` from the schema and the views' files; a test holds it against them.\n\n" +
		"Every time is UTC, to the millisecond. Amounts stand in the currency of their row, unless a column says otherwise.\n" +
		"A view that takes `at` answers as known at that instant; its twin `..._now` answers for now.\n\n## Views\n\n")
	views, err := Views()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		argument := ""
		if strings.Contains(v.create, "{at:") {
			argument = "(at)"
		}
		fmt.Fprintf(&b, "### %s%s\n\n%s.\n\n```sql\n%s\n```\n\n| column | type |\n|---|---|\n", v.Name, argument, strings.TrimSuffix(v.Description, "."), v.Example)
		from := v.Name
		if argument != "" {
			from += "(at = {at:DateTime64(3, 'UTC')})"
		}
		columns, err := w.Columns(t.Context(), "SELECT * FROM "+from)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range columns {
			fmt.Fprintf(&b, "| %s | %s |\n", c.Name, c.Type)
		}
		b.WriteString("\n")
	}
	b.WriteString("## Tables\n\n")
	for name := range strings.Lines(lines(t, w, `SELECT name FROM system.tables WHERE database = currentDatabase()
		AND engine NOT IN ('View', 'MaterializedView') AND name != 'schema_versions' ORDER BY name`, now())) {
		name = strings.TrimSpace(name)
		comment := lines(t, w, "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = '"+name+"'", now())
		fmt.Fprintf(&b, "### %s\n\n%s.\n\n| column | type | meaning |\n|---|---|---|\n", name, strings.TrimSpace(comment))
		b.WriteString(lines(t, w, `SELECT format('| {} | {} | {} |', name, type, comment) FROM system.columns
			WHERE database = currentDatabase() AND table = '`+name+`' ORDER BY position`, now()))
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
