package modules

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// mark says whether something that was asked of a module held.
type mark int

const (
	unasked mark = iota
	broken
	kept
)

func held(ok bool) mark {
	if ok {
		return kept
	}
	return broken
}

// verdict is what a case showed.
type verdict struct {
	// converges: the run brought about what was wanted, and the second one found
	// nothing left to do.
	converges mark
	// truthful: the check changed nothing, and the run did what it had said.
	truthful mark
	// diff: the check showed the differences that were expected, and the run the
	// same.
	diff mark
	// refuses: what cannot be was refused for the reason given, and the host was as
	// before.
	refuses mark
	// hostile: a hostile value of a parameter did nothing but what it says.
	hostile mark
}

// marks are the verdict's columns of the report.
func (v verdict) marks() []mark {
	return []mark{v.converges, v.truthful, v.diff, v.refuses, v.hostile}
}

// report counts verdicts.
type report struct {
	mu   sync.Mutex
	rows map[row][]count
}

type row struct {
	module string
	kind   Kind
}

type count struct{ kept, asked int }

// results are the verdicts of all tests of this package.
var results = &report{rows: map[row][]count{}}

func (r *report) add(module string, kind Kind, v verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := row{module, kind}
	counts := r.rows[at]
	if counts == nil {
		counts = make([]count, len(v.marks()))
		r.rows[at] = counts
	}
	for i, m := range v.marks() {
		if m != unasked {
			counts[i].asked++
		}
		if m == kept {
			counts[i].kept++
		}
	}
}

// String is the table of modules and kinds of hosts.
func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "module\thost\tconverges\tcheck truthful\tdiff right\trefuses\thostile safe")
	rows := slices.SortedFunc(maps.Keys(r.rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(a.module, b.module), cmp.Compare(a.kind, b.kind))
	})
	for _, at := range rows {
		_, _ = fmt.Fprintf(w, "%s\t%s", at.module, at.kind)
		for _, c := range r.rows[at] {
			if c.asked == 0 {
				_, _ = fmt.Fprint(w, "\t-")
			} else {
				_, _ = fmt.Fprintf(w, "\t%d/%d", c.kept, c.asked)
			}
		}
		_, _ = fmt.Fprintln(w)
	}
	_ = w.Flush()
	return b.String()
}

// publish logs the table of what is known by now, and writes it to the file that
// JET_MODULES_REPORT names.
func (r *report) publish(t *testing.T) {
	t.Helper()
	t.Logf("modules on real hosts, as kept/asked:\n%s", r)
	if name := os.Getenv("JET_MODULES_REPORT"); name != "" {
		if err := os.WriteFile(name, []byte(r.String()), 0o644); err != nil {
			t.Errorf("writing the report: %v", err)
		}
	}
}
