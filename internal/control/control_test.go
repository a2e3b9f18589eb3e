package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told returns the types and data of the events of our own.
func told(t *testing.T, b *bus.Bus) (types []string, last events.Event) {
	t.Helper()
	for m, err := range b.Tail(t.Context(), bus.StreamEvents, bus.AllEvents, bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if last, err = bus.DecodeEvent(m.Header, m.Data); err != nil {
			t.Fatal(err)
		}
		types = append(types, last.Type())
	}
	return types, last
}

func TestRule(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := t.Context()
	if _, err := control.Resume(ctx, b, control.Rule, "r", "ann", false); !errors.Is(err, control.ErrNotPaused) {
		t.Errorf("resume what runs: %v", err)
	}
	if _, err := control.Get(ctx, b, control.Rule, "r"); !errors.Is(err, control.ErrNotPaused) {
		t.Errorf("get what runs: %v", err)
	}
	set, err := control.Set(ctx, b, control.Pause{Kind: control.Rule, Name: "r", By: "ann", Reason: "too wild", From: 7})
	if err != nil {
		t.Fatal(err)
	}
	if set.Since.IsZero() || !set.Skips() || !set.Holds() {
		t.Errorf("paused: %+v", set)
	}
	got, err := control.Get(ctx, b, control.Rule, "r")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, got); diff != "" {
		t.Errorf("stored (-want +got)\n%s", diff)
	}
	was, err := control.Set(ctx, b, control.Pause{Kind: control.Rule, Name: "r", By: "bob", From: 99})
	if !errors.Is(err, control.ErrPaused) || was.By != "ann" || was.From != 7 {
		t.Errorf("pause again: %+v, %v", was, err)
	}

	p, err := control.Resume(ctx, b, control.Rule, "r", "bob", false)
	if err != nil || !p.Resuming || p.From != 7 || !p.Skips() || p.Holds() {
		t.Fatalf("resume: %+v, %v", p, err)
	}
	if _, err := control.Resume(ctx, b, control.Rule, "r", "bob", false); !errors.Is(err, control.ErrResuming) {
		t.Errorf("resume again: %v", err)
	}
	if p, err = control.Advance(ctx, b, p, 20, true); err != nil || p.Skips() || p.Holds() {
		t.Fatalf("advance: %+v, %v", p, err)
	}
	// Paused in the middle of its resume, a rule does not forget what is left.
	again, err := control.Set(ctx, b, control.Pause{Kind: control.Rule, Name: "r", By: "bob", From: 99})
	if err != nil || again.From != 20 || again.Resuming || again.Live {
		t.Fatalf("pause while it is resumed: %+v, %v", again, err)
	}
	if _, err := control.Advance(ctx, b, p, 30, true); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("advance what somebody changed: %v", err)
	}
	if err := control.Finish(ctx, b, p); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("finish what somebody changed: %v", err)
	}
	types, last := told(t, b)
	want := []string{events.TypeRulePaused, events.TypeRuleResumed, events.TypeRulePaused}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	var data events.RulePaused
	if err := last.DataAs(&data); err != nil || data.Rule != "r" || data.By != "bob" || data.From != 20 || last.Subject() != "r" {
		t.Errorf("event %v, %v", last, err)
	}

	p, err = control.Resume(ctx, b, control.Rule, "r", "bob", true)
	if err != nil || p.From != 4 { // three events came before
		t.Fatalf("skip: %+v, %v", p, err)
	}
	if err := control.Finish(ctx, b, p); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Get(ctx, b, control.Rule, "r"); !errors.Is(err, control.ErrNotPaused) {
		t.Errorf("get what is over: %v", err)
	}
	if _, err := control.Set(ctx, b, control.Pause{Kind: control.Rule, Name: "r", By: "ann", From: 50}); err != nil {
		t.Errorf("pause once more: %v", err)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	ctx := t.Context()
	if _, err := control.Set(ctx, b, control.Pause{Kind: control.Queue, Name: "default", By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Set(ctx, b, control.Pause{Kind: control.Queue, Name: "default", By: "ann"}); !errors.Is(err, control.ErrPaused) {
		t.Errorf("pause again: %v", err)
	}
	list, err := control.List(ctx, b)
	if err != nil || len(list) != 1 || !list[0].Holds() || list[0].Skips() {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := control.Resume(ctx, b, control.Queue, "default", "ann", false); err != nil {
		t.Fatal(err)
	}
	if list, err := control.List(ctx, b); err != nil || len(list) != 0 {
		t.Errorf("list: %+v, %v", list, err)
	}
	if types, _ := told(t, b); len(types) != 0 {
		t.Errorf("events of a queue: %v", types)
	}
}

// A viewer sees everything at once, and then each change.
func TestFollow(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "viewer")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	pause := func(k control.Kind, name string) {
		t.Helper()
		if _, err := control.Set(ctx, b, control.Pause{Kind: k, Name: name, By: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	pause(control.Rule, "b")
	pause(control.Queue, "q")
	steps := []struct {
		want []string
		then func()
	}{
		{[]string{"queue q", "rule b"}, func() { pause(control.Rule, "a.a") }},
		{[]string{"queue q", "rule a.a", "rule b"}, func() {
			if _, err := control.Resume(ctx, b, control.Queue, "q", "ann", false); err != nil {
				t.Fatal(err)
			}
		}},
		{[]string{"rule a.a", "rule b"}, cancel},
	}
	for all, err := range control.Follow(ctx, viewer) {
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			got = append(got, p.String())
		}
		if len(steps) == 0 {
			t.Fatalf("one more: %v", got)
		}
		if diff := cmp.Diff(steps[0].want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("paused (-want +got)\n%s", diff)
		}
		steps[0].then()
		steps = steps[1:]
	}
	if len(steps) > 0 {
		t.Errorf("%d changes were not seen", len(steps))
	}
}
