package doctor

import (
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// Content that is pinned and content that was refused are warned of; what a jet-bus
// refused that has stopped since is its own concern when it starts.
func TestContent(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	ctx := t.Context()
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	look := func() []Finding {
		e := &examination{bus: viewer, check: "content"}
		if err := e.content(ctx); err != nil {
			t.Fatal(err)
		}
		return e.found
	}
	refusal := events.RulesRefused{By: "one", Content: "c", Revision: "0123456789abcdef", From: "a repository", Reason: "a.yml:1:1: no", Faults: []string{"a.yml:1:1: no"}}
	if _, err := dispatch.Refuse(ctx, b, refusal); err != nil {
		t.Fatal(err)
	}
	want(t, look(), "content", Warning, "a.yml:1:1: no, in revision 0123456789ab of a repository, on one, since ")
	if err := dispatch.SetPin(ctx, b, dispatch.Pin{RuleSet: "s", Bundle: "0123456789abcdef", By: "ann", At: time.Now(), Reason: "better"}); err != nil {
		t.Fatal(err)
	}
	found := look()
	want(t, found, "content", Warning, "by ann: better")
	if len(found) != 2 {
		t.Errorf("%d findings, want 2", len(found))
	}
	if err := dispatch.Unpin(ctx, b); err != nil {
		t.Fatal(err)
	}
	kv, err := b.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(ctx, bus.KeyRuleSet, `{"rule_set":"","bundle":"","since":1,"by":"one"}`); err != nil {
		t.Fatal(err)
	}
	want(t, look(), "content", OK, "none was refused")
}
