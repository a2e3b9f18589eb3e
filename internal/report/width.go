package report

import (
	"strings"
	"unicode"
)

// double are the scripts and signs that take two columns of a terminal.
var double = [...][2]rune{
	{0x1100, 0x115f},
	{0x2e80, 0x303e},
	{0x3041, 0xa4cf},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f},
	{0x1f680, 0x1faff},
	{0x20000, 0x3fffd},
}

// columns is how many columns of a terminal printable text takes. A tab counts as
// one: it is not printed where columns are counted.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x300 && r != 0xad { // most of all
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, w := range double {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// pad fills text up to some columns with spaces.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// fit shortens text to at most some columns, and shows that it did.
func fit(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n >= width {
			return s[:i] + strings.Repeat("…", min(1, max(0, width)))
		}
	}
	return s
}
