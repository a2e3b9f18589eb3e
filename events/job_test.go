package events_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// What is published about jobs fits the schemas, of which each type has its own.
func TestJobs(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 5).UTC()
	name := &events.EventName{ID: "1", Source: "/s", Type: "t", Seq: 7}
	full := events.JobChanged{
		Job: "j", State: "dead", Reason: "r", Rule: "deploy", RuleSet: "d", StartedBy: "ann", Event: name, RetryOf: "i", Bundle: "b",
		Playbook: "p.yml", Inventory: "inventory", Limit: []string{"web"}, Check: true, Hosts: []string{"web1"}, More: 2,
		Needs: map[string]string{"site": "fra"}, Priority: -3, Key: "k", Runner: "r1", Attempt: 3, Failures: 2, Losses: 1, DelayMS: 1000,
		ApprovedBy: "bob", Queued: at, Started: at, Ended: at, DurationMS: 1.5, Results: 9,
	}
	of := map[string][]any{events.TypeRuleFired: {
		events.RuleFired{Rule: "r", At: at}, events.RuleFired{Rule: "r", RuleSet: "s", Event: name, Key: "k", Job: "j", Published: []string{"e"}, At: at},
	}}
	for _, info := range events.Types() {
		if strings.HasPrefix(info.Type, "dev.jet-bus.job.") {
			of[info.Type] = []any{full, events.JobChanged{Job: "j", State: "pending", Playbook: "p", Queued: at}}
		}
	}
	if len(of) != 10 {
		t.Errorf("%d types", len(of))
	}
	for typ, list := range of {
		schema := schemaFor(t, typ)
		compareMembers(t, schema, reflect.TypeOf(list[0]))
		for _, in := range list {
			e, err := events.New("/jobs/j", typ, in)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			if err := e.DataAs(&tree); err != nil {
				t.Fatal(err)
			}
			if err := conforms(schema, tree, "data"); err != nil {
				t.Errorf("%s: %v", typ, err)
			}
		}
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	for value, want := range map[any]int{nil: 0, "3": 3, int32(16): 16, "-2": 0, "x": 0, true: 0} {
		e, err := events.New("/s", "t", nil)
		if err != nil {
			t.Fatal(err)
		}
		if value != nil {
			e.SetExtension(events.ExtDepth, value)
		}
		if got := events.Depth(e); got != want {
			t.Errorf("%v: %d, want %d", value, got, want)
		}
	}
}
