package main

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, args string) settings {
	t.Helper()
	s, err := parseSettings(strings.Fields(args), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlan(t *testing.T) {
	t.Parallel()
	faults := plan(parsed(t, "-kills 1000 -seed 5"))
	seen := map[kind]int{}
	kills := 0
	last := time.Duration(0)
	for _, f := range faults {
		seen[f.Kind]++
		if f.Kind.kills() {
			kills++
		}
		if f.At < last || f.For < 0 || f.Jump.Abs() > farthest || f.Target == "" {
			t.Errorf("the fault %+v after %s", f, last)
		}
		last = f.At
	}
	if kills != 1000 {
		t.Errorf("%d kills, want 1000", kills)
	}
	for _, k := range kinds() {
		if seen[k] == 0 {
			t.Errorf("there is no %s among %d faults", k, len(faults))
		}
	}
	if diff := cmp.Diff(faults, plan(parsed(t, "-kills 1000 -seed 5"))); diff != "" {
		t.Errorf("the same seed gives other faults: %s", diff)
	}
	if cmp.Equal(faults[:20], plan(parsed(t, "-kills 1000 -seed 6"))[:20]) {
		t.Error("another seed gives the same faults")
	}
	some := plan(parsed(t, "-for 30s -pace 100ms -faults kill-bus,jump-runner"))
	if len(some) < 100 {
		t.Errorf("%d faults in 30 s, one each 100 ms", len(some))
	}
	for _, f := range some {
		if f.At > 30*time.Second || f.Kind != killBus && f.Kind != jumpRunner {
			t.Errorf("the fault %+v", f)
		}
	}
}

func TestNextEvent(t *testing.T) {
	t.Parallel()
	make1000 := func(seed uint64) (all []*sent) {
		rng := rand.New(rand.NewPCG(seed, 2))
		for n := range 1000 {
			s, work := next(rng, n, 4)
			if work <= 0 || work > 3 || len(s.Hosts) == 0 || !slices.IsSorted(s.Hosts) {
				t.Errorf("event %+v with %g s of work", s, work)
			}
			all = append(all, s)
		}
		return all
	}
	all := make1000(1)
	jobs := map[int]int{}
	for _, s := range all {
		jobs[len(s.rules())]++
	}
	if jobs[0] == 0 || jobs[1] == 0 || jobs[2] == 0 || len(jobs) != 3 {
		t.Errorf("jobs by event: %v", jobs)
	}
	if !cmp.Equal(all, make1000(1)) || cmp.Equal(all, make1000(2)) {
		t.Error("the events do not follow from the seed")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := parsed(t, "")
	if s.Seed == 0 || s.For != time.Minute || len(s.Faults) != len(kinds()) {
		t.Errorf("without arguments: %+v", s)
	}
	if s := parsed(t, "-faults -fill-disk,-kill-all -kills 3"); len(s.Faults) != len(kinds())-2 || s.For != 0 ||
		slices.Contains(s.Faults, fillDisk) {
		t.Errorf("with some faults left out: %+v", s)
	}
	for args, want := range map[string]string{
		"x":                         "unexpected argument",
		"-kills -1":                 "negative",
		"-runners 0":                "-runners must be",
		"-hosts 1":                  "-hosts 2 to 50",
		"-pace 0s":                  "-pace and -rate",
		"-lease 1ms":                "-lease must be",
		"-faults nothing":           "there is no fault",
		"-faults all,-all":          "no fault is left",
		"-kills 3 -faults jump-bus": "needs faults that kill",
	} {
		var said strings.Builder
		if _, err := parseSettings(strings.Fields(args), &said); err == nil || !strings.Contains(said.String(), want) {
			t.Errorf("%q: %v, said %q, want %q", args, err, said.String(), want)
		}
	}
}
