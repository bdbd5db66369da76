// Package text makes strings fit for where people read them: a table's cell, a log line, a chat message, a terminal.
//
// There are three jobs, and nothing here knows what a deal or an alert is.
//
// # Cutting
//
// [Fit] cuts to a width, the mark that says so included: for a column that has room for so much and no more. [Cut] keeps so
// many characters and puts the mark behind them: for an excerpt. Both count characters (runes), not columns and not what a
// reader sees as one letter: a letter with a combining accent counts as two. [CutBytes] cuts to a size, for a header or a
// column that is limited in bytes, and never leaves half a character. [Line] folds a text onto one line first, where it must
// stay on one.
//
// # Amounts
//
// [Thousands] groups the digits of a number that is already written, so an exact amount stays exact. [Whole] writes a float
// without its cents, for people who look at what is at stake and not at an invoice. Both write 1,234,567: the comma groups and
// the point separates, whatever the machine's locale.
//
// # Terminals
//
// A client's words may hold escape sequences that recolour a terminal, move its cursor or hide what stands on the screen, and
// characters that turn the direction of reading around. [Visible] and [VisibleLines] write all of these as escapes, such as
// \u001b. They make text safe to print; they do not make it safe for HTML, Markdown or a shell.
//
// Everything here is a pure function and may be called from several goroutines at once.
package text
