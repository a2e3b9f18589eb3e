package events_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// What is published about rules that remember fits its schemas.
func TestOrdered(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 5).UTC()
	for typ, list := range map[string][]any{
		events.TypeRulesActivated: {
			events.RulesActivated{RuleSet: "s", Bundle: "b"}, events.RulesActivated{RuleSet: "s", Bundle: "b", By: "a", First: true},
		},
		events.TypeRulesMissed:      {events.RulesMissed{From: 1, To: 9, Message: "lost"}},
		events.TypeRuleWindowMissed: {events.RuleWindowMissed{Rule: "r", Key: "k", Began: at, Ends: at, Count: 3}},
		events.TypeRuleFull:         {events.RuleFull{Rule: "r", MaxWindows: 10}},
		events.TypeClockTicked:      {events.ClockTicked{Due: at}},
	} {
		schema := schemaFor(t, typ)
		compareMembers(t, schema, reflect.TypeOf(list[0]))
		for _, in := range list {
			e, err := events.New("/rules", typ, in)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			if err := e.DataAs(&tree); err != nil {
				t.Fatal(err)
			}
			if err := conforms(schema, tree, "data"); err != nil {
				t.Error(err)
			}
		}
	}
}
