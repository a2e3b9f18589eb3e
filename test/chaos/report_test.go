package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestReport(t *testing.T) {
	t.Parallel()
	e := recorded()
	e.Settings.Seed = 7
	e.Took = 12 * time.Second
	e.Ended = []time.Duration{started + 3*time.Second, started + 1500*time.Millisecond, started}
	e.Peaks = map[string]int64{busName: 64 << 20, "r1": 32 << 20}
	e.Starts = map[string]int{busName: 1, "r1": 2}
	e.Exits = map[string][]string{"r1": {"exit status 1"}}
	r := newReport(e)
	if r.Events != 3 || r.Offers != 4 || r.Repeated != 1 || r.Jobs[queue.Succeeded] != 3 || r.Attempts != 4 ||
		r.Results != 10 || r.Commands != 11 || r.Kills != 1 {
		t.Errorf("the report counts %+v", r)
	}
	want := recovery{1, 0.5, 0.5, 0.5}
	if r.Recovery[anyKill] != want || r.Recovery[killRunner] != want || len(r.Recovery) != 2 {
		t.Errorf("recovery %+v, want %+v", r.Recovery, want)
	}

	// The table says it, and what is broken by id.
	file := filepath.Join(t.TempDir(), evidenceFile)
	judged := func(asJSON bool) (string, error) {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err = judgeAgain(settings{Judge: file, JSON: asJSON}, &out)
		return out.String(), err
	}
	text, err := judged(false)
	for _, line := range []string{
		"seed                   7", "kills                  1", "faults                 1 kill-runner",
		"jobs                   3: 3 succeeded; 4 attempts, 10 results, 11 commands", "lost                   0",
		"recovery, any kill     p50 0.50 s, p99 0.50 s, most 0.50 s, of 1",
		"memory, bus            64 MiB at the most, 1 starts", "ended by itself, r1    1 times",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the table does not say %q:\n%s", line, text)
		}
	}
	if err != nil || strings.Contains(text, "BREACH") {
		t.Errorf("nothing is broken, but %v:\n%s", err, text)
	}
	e.Events = e.Events[:2]
	text, err = judged(false)
	if !errors.Is(err, errBroken) || !strings.Contains(text, "lost                   1\n") || !strings.Contains(text, "lost: event e3 of") {
		t.Errorf("an event is lost, but %v:\n%s", err, text)
	}
	text, err = judged(true)
	var again report
	if jerr := json.Unmarshal([]byte(text), &again); jerr != nil || !errors.Is(err, errBroken) {
		t.Fatalf("%v, %v: %s", err, jerr, text)
	}
	if diff := cmp.Diff(newReport(e), &again); diff != "" {
		t.Errorf("as JSON: %s", diff)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var list []time.Duration
	for i := range 200 {
		list = append(list, time.Duration(i+1)*time.Second)
	}
	for p, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(list, p); got != want {
			t.Errorf("the percentile %d is %v, want %v", p, got, want)
		}
	}
	if got := percentile(list[:1], 50); got != 1 {
		t.Errorf("the median of one is %v", got)
	}
}
