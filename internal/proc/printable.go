package proc

import "strings"

// maxMessage is how much of one line of an error is shown, in bytes.
const maxMessage = 4 << 10

// Printable replaces what would steer a terminal: control characters but the
// tab, and those that turn the direction of writing. Line ends are among them,
// so the result is one line. Bytes that are not UTF-8 are replaced too.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r < ' ', r >= 0x7f && r <= 0x9f, // control characters
			r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, // directions
			r == 0x2028, r == 0x2029: // line ends
			return '\uFFFD'
		default:
			return r
		}
	}, s)
}

// message makes one line of an error fit to be shown.
func message(s string) string {
	return Printable(Cut(s, maxMessage))
}

// Cut is the beginning of s, about most bytes of it, if it is longer. It says so.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
