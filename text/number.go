package text

import (
	"strconv"
	"strings"
)

// Thousands groups the digits before the point of a number that is written as [-]digits[.digits]: "-1234567.50" becomes
// "-1,234,567.50". What does not begin so, such as "NaN", stays as it is.
func Thousands(number string) string {
	begin := 0
	if strings.HasPrefix(number, "-") {
		begin = 1
	}
	end := begin
	for end < len(number) && '0' <= number[end] && number[end] <= '9' {
		end++
	}
	for i := end - 3; i > begin; i -= 3 {
		number = number[:i] + "," + number[i:]
	}
	return number
}

// Whole writes an amount in whole units, grouped: 48000.7 becomes "48,001". A half goes to the even neighbour.
func Whole(amount float64) string {
	if whole := strconv.FormatFloat(amount, 'f', 0, 64); whole != "-0" {
		return Thousands(whole)
	}
	return "0"
}
