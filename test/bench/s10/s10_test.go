package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		of   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 100}, 3},
	} {
		given := slices.Clone(tc.of)
		if got := median(tc.of); got != tc.want {
			t.Errorf("median of %v is %v, want %v", tc.of, got, tc.want)
		}
		if !slices.Equal(given, tc.of) {
			t.Errorf("median has sorted what it was given: %v", tc.of)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	if got := roundTrips(0.3, 1.1, 20*time.Millisecond, 100*time.Millisecond); math.Abs(got-10) > 1e-9 {
		t.Errorf("got %v round trips, want 10", got)
	}
	if got := roundTrips(1, 2, time.Second, time.Second); !math.IsNaN(got) {
		t.Errorf("got %v round trips from one distance", got)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := parseSettings([]string{"-hosts", "10,1", "-rtt", "100,0,0", "-jet", "/x"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 10}, s.Hosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]time.Duration{0, 100 * time.Millisecond}, s.RTTs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"jet", "other", "floor", "tuned", "default", "mitogen"}, s.Peers); diff != "" {
		t.Error(diff)
	}
	if got := s.forks(10); got != 10 {
		t.Errorf("forks are %d on ten hosts", got)
	}
	if s, err = parseSettings([]string{"-many", "500", "-forks", "7"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"jet"}, s.Peers); diff != "" || len(s.RTTs) != 1 || s.forks(10) != 7 {
		t.Errorf("%+v", s)
	}
}

func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, want string }{
		{"-hosts 0", `"0" is no number from 1 to 250`},
		{"-hosts 251", "is no number"},
		{"-rtt 1,", `"" is no number`},
		{"-peers jet,chef", `"chef" is none of jet, other`},
		{"-peers other", "the tool other and -jet go together"},
		{"-peers jet -jet /x", "go together"},
		{"-runs 0", "-runs must be 1 or more"},
		{"-forks -1", "-forks must be"},
		{"-many 5 -warm", "exclude each other"},
		{"-many 10001", "-many must be"},
		{"-dir lab", "absolute"},
		{"more", `takes no arguments, got "more"`},
	} {
		var said strings.Builder
		if _, err := parseSettings(strings.Fields(tc.args), &said); err == nil || !strings.Contains(said.String(), tc.want) {
			t.Errorf("%s: %v, said %q", tc.args, err, said.String())
		}
	}
	if _, err := parseSettings([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, x := range append(hostTargets(maxHosts), manyTargets(manyMax)...) {
		for _, name := range []string{x.Name, x.Address} {
			if seen[name] {
				t.Fatalf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
	if diff := cmp.Diff([]int{10, 50, 500}, steps(500)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{10}, steps(10)); diff != "" {
		t.Error(diff)
	}
}

func TestTelling(t *testing.T) {
	t.Parallel()
	text := "start\n" + strings.Repeat("fine\n", 20) + "h1 FAILED\nbecause\n" + strings.Repeat("fine\n", 20) + "recap"
	got := telling(text)
	for _, want := range []string{"h1 FAILED\nbecause\n", "\nrecap"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if strings.Contains(got, "start") {
		t.Errorf("%q shows what went well", got)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	r := report{
		CPUs: 2, Go: "go1.26", Load: [2]string{"0.00", "1.00"}, Accounting: "here", Connect: []float64{0.1, 100.5},
		Settings: settings{Hosts: []int{10}, RTTs: []time.Duration{0, 100 * time.Millisecond}},
		Cells: cells{
			{Peer: peerFloor, Hosts: 10, First: []sample{{0.6, 1, 10}}},
			{Peer: peerJet, Hosts: 10, First: []sample{{0.4, 0.2, 17}, {0.2, 0.2, 17}, {9, 0.2, 17}}, Second: []sample{{0.2, 0.1, 15}}},
			{Peer: peerTuned, Hosts: 10, First: []sample{{16, 8, 170}}, Second: []sample{{16, 8, 170}}, Note: "slow"},
			{Peer: peerJet, Hosts: 10, RTT: 100 * time.Millisecond, First: []sample{{2.4, 0.2, 17}}, Second: []sample{{1.4, 0.1, 15}}},
		},
	}
	const want = `2 CPUs, go1.26; load 0.00 before, 1.00 after
CPU from here; memory from /proc (anonymous, proportional)
0 ms asked for: a TCP connection takes 0.1 ms
100 ms asked for: a TCP connection takes 100.5 ms

10 hosts, 0 ms  first s  ratio  CPU s  MiB    second s  ratio  CPU s  MiB    runs
  floor         0.600    1.50x  1.000  10.0                                  1
  jet           0.400    1.00x  0.200  17.0   0.200     1.00x  0.100  15.0   3
  tuned         16.000   40x    8.000  170.0  16.000    80x    8.000  170.0  1

10 hosts, 100 ms  first s  ratio  CPU s  MiB   second s  ratio  CPU s  MiB   runs
  jet             2.400    1.00x  0.200  17.0  1.400     1.00x  0.100  15.0  1

tuned: slow

RTTs   hosts  first  second
  jet  10     20.0   12.0
`
	var got bytes.Buffer
	if err := r.writeTable(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTableOfMany(t *testing.T) {
	t.Parallel()
	r := report{Settings: settings{Many: 50}, Many: []manyResult{
		{Hosts: 10, First: sample{1, 1, 10}, Second: sample{1, 1, 10}},
		{Hosts: 50, First: sample{1, 1, 20}, Second: sample{1, 1, 15}, Failed: 1, Errors: []string{"host down"}},
	}}
	var got bytes.Buffer
	if err := r.writeTable(&got); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"0       50     1       1.000    1.000  20.0  256       1.000     1.000  15.0  128\n", "\nhost down\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in\n%s", want, got.String())
		}
	}
}

func TestTableOfWarm(t *testing.T) {
	t.Parallel()
	job := func(wall float64, tasks ...float64) jobSample {
		j := jobSample{sample: sample{Wall: wall, CPU: 0.1, Memory: 10}}
		for i, s := range tasks {
			name := string(rune('a' + i))
			j.took(name, time.Duration(s*float64(time.Second)))
			j.took(name, 0) // on a faster host
		}
		return j
	}
	r := report{
		Settings: settings{Warm: true, Hosts: []int{1}, RTTs: []time.Duration{0, 100 * time.Millisecond}},
		Warm: []*warmCell{
			{Hosts: 1, Cold: job(0.1), Warm: []jobSample{job(0.01)}},
			{Hosts: 1, RTT: 100 * time.Millisecond, Cold: job(1.2, 1, 0.2), Warm: []jobSample{job(0.12, 0.1, 0.02)}},
		},
	}
	var got bytes.Buffer
	if err := r.writeTable(&got); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"100     1      1.200   0.100  0.120   0.100  10.0  10x        1.2           1.1   1\n",
		"1 hosts, 100 ms: task  cold ms  warm ms\n  a                    1000     100\n  b                    200      20\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in\n%s", want, got.String())
		}
	}
}
