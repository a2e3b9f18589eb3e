package engine

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxDiffEdits bounds what is compared line by line; texts that differ in more
	// lines are shown one after the other. maxDiffText bounds what a task shows.
	maxDiffEdits = 1000
	maxDiffText  = 64 << 10
	// diffContext is how many equal lines stand around a difference.
	diffContext = 3
)

// unified returns diffs as text, one after the other.
func unified(diffs []Diff) string {
	var b strings.Builder
	for _, d := range diffs {
		if d.Before == d.After {
			continue
		}
		fmt.Fprintf(&b, "--- %s\n+++ %s\n", d.Path, d.Path)
		writeHunks(&b, compare(lines(d.Before), lines(d.After)))
		if b.Len() > maxDiffText {
			cut := strings.LastIndexByte(b.String()[:maxDiffText], '\n') + 1
			return b.String()[:cut] + "(the rest is not shown)\n"
		}
	}
	return b.String()
}

// lines cuts a text into lines. A last line without its end says so.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	list := strings.SplitAfter(text, "\n")
	if last := len(list) - 1; list[last] == "" {
		list = list[:last]
	} else {
		list[last] += "\n\\ No newline at end of file\n"
	}
	return list
}

// edit is a line that is kept (' '), removed ('-') or added ('+').
type edit struct {
	sign byte
	line string
}

// compare returns a shortest way from a to b, or one that replaces all where that
// takes too long to find.
func compare(a, b []string) []edit {
	trace, ok := search(a, b)
	if !ok || len(a) == 0 || len(b) == 0 {
		var edits []edit
		for _, l := range a {
			edits = append(edits, edit{'-', l})
		}
		for _, l := range b {
			edits = append(edits, edit{'+', l})
		}
		return edits
	}
	var edits []edit
	// Walk back from the end; v[k] is how far in a the path on diagonal k came.
	x, y := len(a), len(b)
	for d, v := range slices.Backward(trace) {
		k := x - y
		prev := k - 1
		if k == -d || k != d && v.at(k-1) < v.at(k+1) {
			prev = k + 1
		}
		px := v.at(prev)
		py := px - prev
		for x > max(px, 0) && y > max(py, 0) {
			x, y = x-1, y-1
			edits = append(edits, edit{' ', a[x]})
		}
		switch {
		case d == 0:
		case x == px:
			y--
			edits = append(edits, edit{'+', b[y]})
		default:
			x--
			edits = append(edits, edit{'-', a[x]})
		}
	}
	slices.Reverse(edits)
	return edits
}

// reach holds how far in a the paths came, for the diagonals -n to n.
type reach []int

func (r reach) at(k int) int { return r[k+len(r)/2] }

func (r reach) set(k, x int) { r[k+len(r)/2] = x }

// grown returns a copy with a diagonal more on either side.
func (r reach) grown() reach {
	g := make(reach, len(r)+2)
	copy(g[1:], r)
	return g
}

// search is the greedy algorithm of Myers: for every number of edits the furthest
// that any path gets, until one gets to the end. It returns what was known before
// each step.
func search(a, b []string) (trace []reach, ok bool) {
	v := make(reach, 3)
	for d := 0; d <= maxDiffEdits; d++ {
		trace = append(trace, v)
		next := v.grown()
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && v.at(k-1) < v.at(k+1) {
				x = v.at(k + 1)
			} else {
				x = v.at(k-1) + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			next.set(k, x)
			if x >= len(a) && x-k >= len(b) {
				return trace, true
			}
		}
		v = next
	}
	return nil, false
}

// writeHunks writes the differences with the lines around them.
func writeHunks(b *strings.Builder, edits []edit) {
	for i := 0; i < len(edits); {
		first := i
		for first < len(edits) && edits[first].sign == ' ' {
			first++
		}
		if first == len(edits) {
			return
		}
		last := first // the last difference of the hunk
		for j := first; j < len(edits) && j <= last+2*diffContext+1; j++ {
			if edits[j].sign != ' ' {
				last = j
			}
		}
		from, to := max(i, first-diffContext), min(len(edits), last+1+diffContext)
		writeHunk(b, edits, from, to)
		i = to
	}
}

func writeHunk(b *strings.Builder, edits []edit, from, to int) {
	count := func(list []edit) (before, after int) {
		for _, e := range list {
			if e.sign != '+' {
				before++
			}
			if e.sign != '-' {
				after++
			}
		}
		return before, after
	}
	aStart, bStart := count(edits[:from])
	aLen, bLen := count(edits[from:to])
	span := func(start, n int) string {
		if n > 0 {
			start++
		}
		return fmt.Sprintf("%d,%d", start, n)
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(aStart, aLen), span(bStart, bLen))
	for _, e := range edits[from:to] {
		b.WriteByte(e.sign)
		b.WriteString(e.line)
	}
}
