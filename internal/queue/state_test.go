package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStateMachine drives a job through random transitions and checks what must
// hold whatever their order.
func TestStateMachine(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		j := Job{
			ID: "j", State: Pending, Created: now,
			OnRunnerLoss: rapid.SampledFrom([]OnLoss{"", LossRequeue, LossFail}).Draw(t, "on_loss"),
		}
		step := func(name string, next Job, err error) {
			if err != nil {
				if !errors.Is(err, errTransition) {
					t.Fatalf("%s of a %s job: %v", name, j.State, err)
				}
				return
			}
			if j.State.Terminal() {
				t.Fatalf("%s left terminal state %s for %s", name, j.State, next.State)
			}
			if next.State.Terminal() && next.Finished.IsZero() {
				t.Fatalf("%s ended the job as %s without a time", name, next.State)
			}
			switch d := next.Attempt - j.Attempt; {
			case name == "claim" && d != 1, name != "claim" && d != 0:
				t.Fatalf("%s changed the attempt by %d", name, d)
			}
			if next.State == Running && (next.Runner == "" || next.Wake == 0) {
				t.Fatalf("%s made it running with runner %q, wake %d", name, next.Runner, next.Wake)
			}
			j = next
		}
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(*rapid.T) {
				next, err := claimed(j, "r", 7, []string{"h"}, now)
				step("claim", next, err)
			},
			"requeue": func(*rapid.T) {
				next, err := requeued(j, "drain")
				step("requeue", next, err)
			},
			"interrupt": func(*rapid.T) {
				was := j
				next, err := interrupted(j, "silence", now)
				step("interrupt", next, err)
				if err == nil && (j.State == Failed) != (was.OnRunnerLoss == LossFail) {
					t.Fatalf("interrupted job with policy %q is %s", was.OnRunnerLoss, j.State)
				}
			},
			"cancel": func(*rapid.T) {
				next, err := cancelRequested(j, "stop", now)
				step("cancel", next, err)
			},
			"lose": func(*rapid.T) {
				was := j
				next, err := lost(j, now)
				step("lose", next, err)
				if err == nil && was.State == Running && was.OnRunnerLoss == LossFail && j.State != Failed {
					t.Fatalf("lost job whose rule says fail is %s", j.State)
				}
				if err == nil && j.State == Pending && j.Losses >= MaxLosses {
					t.Fatalf("requeued after %d losses", j.Losses)
				}
				if err == nil && j.Losses != was.Losses+1 {
					t.Fatalf("%d losses after %d", j.Losses, was.Losses)
				}
			},
			"finish": func(t *rapid.T) {
				s := rapid.SampledFrom(States()).Draw(t, "to")
				next, err := finished(j, s, "", now)
				step("finish", next, err)
			},
		})
	})
}

func TestID(t *testing.T) {
	t.Parallel()
	if first, again := ID("a", "b", "c", ""), ID("a", "b", "c", ""); first != again {
		t.Error("the same event and rule give two ids")
	}
	seen := map[string]bool{}
	for _, args := range [][4]string{
		{"a", "b", "c", ""}, {"ab", "", "c", ""}, {"a", "bc", "", ""}, {"a", "b", "c", "k"}, {"", "ab", "c", ""}, {"a", "b", "", "c"},
	} {
		id := ID(args[0], args[1], args[2], args[3])
		if len(id) != 32 || strings.ToLower(id) != id {
			t.Errorf("id %q", id)
		}
		if seen[id] {
			t.Errorf("%v gives the id of another", args)
		}
		seen[id] = true
	}
}

func TestQueueName(t *testing.T) {
	t.Parallel()
	if got := NameFor(nil); got != "default" {
		t.Errorf("no needs: %s", got)
	}
	if NameFor(map[string]string{"a": "1", "b": "2"}) != NameFor(map[string]string{"b": "2", "a": "1"}) {
		t.Error("order matters")
	}
	if NameFor(map[string]string{"a": "1b"}) == NameFor(map[string]string{"a1": "b"}) {
		t.Error("two sets of needs share a queue")
	}
}

func TestSatisfies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		labels, needs map[string]string
		want          bool
	}{
		{nil, nil, true},
		{map[string]string{"site": "fra"}, nil, true},
		{map[string]string{"site": "fra", "gpu": "no"}, map[string]string{"site": "fra"}, true},
		{map[string]string{"site": "ams"}, map[string]string{"site": "fra"}, false},
		{nil, map[string]string{"site": "fra"}, false},
	} {
		if got := Satisfies(tc.labels, tc.needs); got != tc.want {
			t.Errorf("Satisfies(%v, %v) = %v", tc.labels, tc.needs, got)
		}
	}
}

// TestTiming checks the one inequality that keeps two runners off one host, and
// that a runner may miss two heartbeats.
func TestTiming(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tm := Timing{Lease: time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "lease"))}
		if tm.Limit() > tm.Lease*3/4 {
			t.Fatalf("a runner stops after %s, its job is taken back after %s", tm.Limit(), tm.Lease)
		}
		if 3*tm.Heartbeat() > tm.Limit() {
			t.Fatalf("two lost heartbeats lose the lease: every %s, limit %s", tm.Heartbeat(), tm.Limit())
		}
	})
	if DefaultTiming.Lease > 15*time.Second {
		t.Errorf("a runner's death costs %s", DefaultTiming.Lease)
	}
}

func TestDecodeKeepsIntegers(t *testing.T) {
	t.Parallel()
	var j Job
	if err := decode([]byte(`{"id":"x","vars":{"i":5,"f":5.5,"l":[1,{"n":9007199254740993}],"u":12345678901234567890}}`), &j); err != nil {
		t.Fatal(err)
	}
	l := j.Vars["l"].([]any)
	if j.Vars["u"] != uint64(12345678901234567890) || j.Vars["i"] != int64(5) || j.Vars["f"] != 5.5 || l[0] != int64(1) || l[1].(map[string]any)["n"] != int64(9007199254740993) {
		t.Errorf("vars %#v", j.Vars)
	}
}
