package text_test

import (
	"fmt"

	"github.com/aftershock/aftershock/text"
)

// What a client wrote becomes one cell of a table on a terminal.
func Example() {
	wrote := "We need to reopen our rate.\n\x1b[2JThe new budget\tis final."
	fmt.Println(text.Fit(text.Line(wrote), 40, "…"))
	fmt.Println(text.Visible(wrote[:35]))
	fmt.Println(text.Whole(1_250_000.4), "EUR at risk, signed at", text.Thousands("345000.50"))
	// Output:
	// We need to reopen our rate. [2JThe new …
	// We need to reopen our rate.\u000a\u001b[2JThe
	// 1,250,000 EUR at risk, signed at 345,000.50
}

func ExampleCut() {
	fmt.Println(text.Cut("Our CFO says that the price is beyond the budget", 24, "..."))
	fmt.Println(text.Fit("Our CFO says that the price is beyond the budget", 24, "..."))
	// Output:
	// Our CFO says that the pr...
	// Our CFO says that the...
}

// A header may hold ten bytes: "€" has three, and is not torn apart.
func ExampleCutBytes() {
	fmt.Printf("%q\n", text.CutBytes("it costs €900", 10))
	// Output:
	// "it costs "
}
