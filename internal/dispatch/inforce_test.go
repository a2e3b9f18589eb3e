package dispatch

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestInForce(t *testing.T) {
	t.Parallel()
	alone := Activation{RuleSet: "s0", Bundle: "b0", Since: 1}
	a1 := Activation{RuleSet: "s1", Bundle: "b1", Since: 10, By: "a"}
	b1 := Activation{RuleSet: "s1", Bundle: "b1", Since: 12, By: "b"}
	a2 := Activation{RuleSet: "s2", Bundle: "b2", Since: 20, By: "a"}
	b2 := Activation{RuleSet: "s2", Bundle: "b2", Since: 30, By: "b"}
	endA, endB := Activation{Since: 40, By: "a"}, Activation{Since: 50, By: "b"}
	a3 := Activation{RuleSet: "s3", Bundle: "b3", Since: 60, By: "a"}
	again := Activation{RuleSet: "s4", Bundle: "b4", Since: 70}
	all := []Activation{alone, a1, b1, a2, b2, endA, endB, a3, again}
	for _, tt := range []struct {
		name string
		all  []Activation
		seq  uint64
		want []Activation
	}{
		{"alone", all, 5, []Activation{alone}},
		{"the first of several", all, 10, []Activation{a1}},
		{"the same content", all, 15, []Activation{b1}},
		{"one is ahead", all, 25, []Activation{b1, a2}},
		{"both are", all, 35, []Activation{b2}},
		{"one has stopped", all, 45, []Activation{b2}},
		{"both have stopped", all[:7], 55, []Activation{b2}},
		{"one is back", all, 65, []Activation{a3}},
		{"alone again", all, 75, []Activation{again}},
		{"before the first", []Activation{a2}, 3, []Activation{a2}},
		{"none", nil, 3, nil},
	} {
		if diff := cmp.Diff(tt.want, InForce(tt.all, tt.seq)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestSeveralDispatchers has two on one bus, first with the same content, then
// with another each.
func TestSeveralDispatchers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	named := func(name string) (*Dispatcher, *logText) {
		out := &logText{}
		d := New(l.bus, queue.New(l.bus, nil), queue.DefaultTiming, slog.New(slog.NewTextHandler(out, nil)))
		d.Name = name
		return d, out
	}
	a, logA := named("a")
	b, logB := named("b")
	use := func(d *Dispatcher, text string) {
		t.Helper()
		if err := d.Use(t.Context(), Content{Set: l.set(text), Bundle: "b1"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time is a restart
		use(a, deployRules)
		use(b, deployRules)
	}
	if log := logA.String() + logB.String(); strings.Contains(log, "other content") {
		t.Errorf("the same content, and the log says\n%s", log)
	}
	use(b, ownRules)
	if log := logB.String(); !strings.Contains(log, "another jet-bus has other content") || !strings.Contains(log, "other=a") {
		t.Errorf("other content, and the log says\n%s", log)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil { // stopped at once
		t.Fatal(err)
	}
	got, err := Activations(t.Context(), l.bus)
	if err != nil {
		t.Fatal(err)
	}
	s, own := l.set(deployRules).Digest(), l.set(ownRules).Digest()
	want := []Activation{
		{RuleSet: s, Bundle: "b1", Since: 1, By: "a"},
		{RuleSet: s, Bundle: "b1", Since: 1, By: "b"},
		{RuleSet: own, Bundle: "b1", Since: 1, By: "b"},
		{Since: 1, By: "a"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Activation{}, "At")); diff != "" {
		t.Error("activations (-want +got)\n" + diff)
	}
	if now := InForce(got, 7); len(now) != 1 || now[0].RuleSet != own {
		t.Errorf("in force for what comes: %+v", now)
	}
}
