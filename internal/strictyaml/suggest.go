package strictyaml

import (
	"fmt"
	"strings"
)

// Suggest returns what to append to an error about an unknown word: the known
// word nearest to it when one is near, else all of them, else nothing.
func Suggest(word string, known []string) string {
	best, dist := "", 3
	for _, k := range known {
		// A word that shares no letter with k is no misspelling of it.
		if d := editDistance(word, k); d < dist && d < max(len(word), len(k)) {
			best, dist = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) == 0:
		return ""
	default:
		return "; known: " + strings.Join(known, ", ")
	}
}

// editDistance counts the single-byte edits that turn a into b.
func editDistance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
		}
		prev = cur
	}
	return prev[len(b)]
}
