package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// at is when the events of the tests were stored.
var at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func load(tb testing.TB, text string) *rules.Set {
	tb.Helper()
	set, err := rules.Load(fstest.MapFS{"rules/r.yml": {Data: []byte(text)}}, "rules")
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// withCondition returns a set of one rule for events of type a.
func withCondition(tb testing.TB, condition string) (*rules.Set, error) {
	tb.Helper()
	text := "rules:\n  - name: r\n    on: a\n    run: {playbook: p.yml}\n    condition: |\n      " +
		strings.ReplaceAll(condition, "\n", "\n      ") + "\n"
	return rules.Load(fstest.MapFS{"r.yml": {Data: []byte(text)}}, ".")
}

// event returns an event; data is its JSON, or nil for none.
func event(tb testing.TB, typ string, data any) events.Event {
	tb.Helper()
	e, err := events.New("/test", typ, nil)
	if err != nil {
		tb.Fatal(err)
	}
	e.SetID("1")
	if data != nil {
		e.SetDataContentType("application/json")
		e.DataEncoded = []byte(data.(string))
	}
	return e
}

func ExampleSet_Explain() {
	set, err := rules.Load(fstest.MapFS{"upgrade.yml": {Data: []byte(`
rules:
  - name: upgrade
    on: com.github.release.*
    condition: event.data.tag startsWith "v" && !event.data.draft
    run: {playbook: upgrade.yml, vars: {version: "${{ event.data.tag }}"}}
`)}}, ".")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, data := range []map[string]any{
		{"tag": "v2", "draft": false},
		{"tag": "v2", "draft": true},
		{"tag": "v2"},
	} {
		e, err := events.New("/example", "com.github.release.published", data)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, v := range set.Explain(e, at) {
			switch v.Outcome {
			case rules.Fired:
				fmt.Println(v.Rule.Name, v.Outcome, v.Action.Vars)
			case rules.Unknown:
				fmt.Println(v.Rule.Name, v.Outcome, "without", v.Reason.Missing)
			default:
				fmt.Println(v.Rule.Name, v.Outcome, "at", v.Reason.Pos, v.Reason.Text)
			}
		}
	}
	// Output:
	// upgrade fired map[version:v2]
	// upgrade not_fired at upgrade.yml:5:49 !event.data.draft
	// upgrade unknown without event.data.draft
}
