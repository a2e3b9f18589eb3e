package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

func recap(t *testing.T, check bool, hosts map[string]engine.Stats) string {
	t.Helper()
	var out strings.Builder
	p := NewPrinter(&out, false)
	p.Tally(engine.Summary{Hosts: hosts}, check)
	p.Recap()
	if p.Err() != nil {
		t.Error(p.Err())
	}
	return out.String()
}

func TestRecapSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	fine, changed := engine.Stats{OK: 1}, engine.Stats{OK: 2, Changed: 1}
	failed, lost := engine.Stats{Failed: 1}, engine.Stats{Unreachable: 1}
	many := map[string]engine.Stats{}
	for i := range 7 {
		many[fmt.Sprint("h", i)] = failed
	}
	six := map[string]engine.Stats{}
	for i := range 6 {
		six[fmt.Sprint("h", i)] = failed
	}
	for name, tc := range map[string]struct {
		check bool
		hosts map[string]engine.Stats
		want  string
	}{
		"nothing changed":       {hosts: map[string]engine.Stats{"a": fine}, want: "nothing changed: 1 host as asked"},
		"nothing would change":  {check: true, hosts: map[string]engine.Stats{"a": fine, "b": fine}, want: "check mode: nothing would change: 2 hosts as asked"},
		"changed":               {hosts: map[string]engine.Stats{"a": fine, "b": changed}, want: "changes were applied on 1 of 2 hosts"},
		"would change":          {check: true, hosts: map[string]engine.Stats{"a": changed, "b": changed}, want: "check mode: changes would be made on 2 of 2 hosts"},
		"rescued is no failure": {hosts: map[string]engine.Stats{"a": {OK: 1, Rescued: 1}}, want: "nothing changed: 1 host as asked"},
		"failed":                {hosts: map[string]engine.Stats{"a": failed, "b": changed, "c": lost}, want: "failed on a; could not reach c; changes were applied on 1 of 3 hosts"},
		"failed alone":          {hosts: map[string]engine.Stats{"a": failed, "b": fine}, want: "failed on a"},
		"many failed":           {hosts: many, want: "failed on h0, h1, h2, h3, h4 and 2 more"},
		"one more than named":   {hosts: six, want: "failed on h0, h1, h2, h3, h4, h5"},
		"no task":               {hosts: map[string]engine.Stats{"a": {}}, want: "recap: no task ran"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := strings.TrimSuffix(recap(t, tc.check, tc.hosts), "\n")
			if got := out[strings.LastIndex(out, "\n")+1:]; got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Of many hosts those are listed that something came of.
func TestRecapOfManyHosts(t *testing.T) {
	t.Parallel()
	hosts := map[string]engine.Stats{}
	for i := range maxRows {
		hosts[fmt.Sprintf("web%02d", i)] = engine.Stats{OK: 2, Skipped: 1}
	}
	if got := strings.Count(recap(t, false, hosts), "\n  web"); got != maxRows {
		t.Errorf("%d rows of %d hosts", got, maxRows)
	}
	hosts["db"] = engine.Stats{OK: 3, Changed: 1}
	hosts["mail"] = engine.Stats{OK: 1, Failed: 1, Rescued: 2}
	want := `
recap
  host                          ok  changed  skipped  failed  ignored  rescued  unreachable      time
  db                             3        1        0       0        0        0            0        0s
  mail                           1        0        0       1        0        2            0        0s
  (50 other hosts unchanged)   100        0       50       0        0        0            0        0s

failed on mail; changes were applied on 1 of 52 hosts
`
	if diff := cmp.Diff(want, recap(t, false, hosts)); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// A new attempt of a job begins with a clean slate.
func TestReset(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := NewPrinter(&out, false)
	p.Task(events.TaskFinished{Play: "p", Task: "t", Host: "a", Status: "failed", Check: true})
	p.Reset()
	out.Reset()
	p.Recap()
	if got := out.String(); got != "\nrecap: no task ran\n" {
		t.Errorf("got %q", got)
	}
}
