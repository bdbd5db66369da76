package publish_test

import "github.com/govalues/decimal"

func money(text string) decimal.Decimal { return decimal.MustParse(text) }
