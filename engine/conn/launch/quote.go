package launch

import "strings"

// Quote returns s as one word for a POSIX shell, whatever bytes it holds (a NUL
// cannot be passed to a process at all).
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Join quotes each word and joins them with blanks.
func Join(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// unsafe reports whether r needs quotes in some shell. Words such as if, which
// a shell reads as its own in front of a command, never stand there: [Line]
// begins with exec.
func unsafe(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:,@%", r)
}
