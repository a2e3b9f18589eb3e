package main

import "strings"

// telling is what of a failed tool's output is worth showing: lines that speak of failures with what
// follows them, and the end.
func telling(text string) string {
	const most, last, follow = 24, 12, 3
	lines := strings.Split(strings.TrimSpace(text), "\n")
	end := max(0, len(lines)-last)
	var kept []string
	more := 0
	for _, line := range lines[:end] {
		if speaksOfFailure(line) {
			more = 1 + follow
		}
		if more > 0 && len(kept) < most {
			kept = append(kept, line)
		}
		more--
	}
	return strings.Join(append(kept, lines[end:]...), "\n")
}

func speaksOfFailure(line string) bool {
	low := strings.ToLower(line)
	for _, word := range []string{"fail", "unreachable", "error", "fatal"} {
		if strings.Contains(low, word) {
			return true
		}
	}
	return false
}
