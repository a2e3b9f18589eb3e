package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// The same content is refused once, by each jet-bus.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := t.Context()
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "viewer")
	refuse := func(by, content string, want bool) {
		t.Helper()
		told, err := Refuse(ctx, b, events.RulesRefused{By: by, Content: content, Revision: content, From: "a repository", Reason: "a fault", Faults: []string{"a fault"}})
		if err != nil || told != want {
			t.Errorf("refuse %s by %q: told %t, %v", content, by, told, err)
		}
	}
	names := func() string {
		t.Helper()
		all, err := Refusals(ctx, viewer)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range all {
			out = append(out, r.By+"="+r.Content)
			if s := r.Summary(); !strings.HasPrefix(s, "a fault, in revision "+r.Content+" of a repository") || time.Since(r.At) > time.Hour {
				t.Errorf("summary %q", s)
			}
		}
		return strings.Join(out, " ")
	}
	refuse("", "c1", true)
	refuse("", "c1", false)
	refuse("host:/var/lib/x", "c1", true)
	refuse("", "c2", true)
	if got := names(); got != "=c2 host:/var/lib/x=c1" {
		t.Errorf("refused: %s", got)
	}
	for range 2 {
		if err := Accept(ctx, b, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(); got != "host:/var/lib/x=c1" {
		t.Errorf("refused, after one is accepted: %s", got)
	}
	refuse("", "c2", true)
	n := 0
	for _, err := range b.Tail(ctx, bus.StreamEvents, bus.EventSubject(bus.ClassOwn, events.TypeRulesRefused), bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d events, want 4", n)
	}
}

func TestPinned(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := t.Context()
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "viewer")
	pin := Pin{RuleSet: "s", Bundle: "b", Revision: "r", From: "f", By: "ann", At: time.Now().UTC(), Reason: "why"}
	if err := Unpin(ctx, b); err != nil {
		t.Errorf("unpin nothing: %v", err)
	}
	for _, want := range []Pin{{}, pin, {}} {
		if want.Bundle != "" {
			if err := SetPin(ctx, viewer, want); err == nil {
				t.Error("a viewer pins")
			}
			if err := SetPin(ctx, b, want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := Pinned(ctx, viewer); err != nil || got != want {
			t.Errorf("pinned %+v, %v; want %+v", got, err, want)
		}
		if err := Unpin(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
}
