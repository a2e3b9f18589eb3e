package events_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// TestDataOfSources checks that what our own sources tell fits the published schemas, with and
// without what is optional.
func TestDataOfSources(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 8, 30, 0, 5000, time.UTC)
	file := events.File{
		Source: "drop", Directory: "/srv/drop", Path: "in/a.json", Size: 3, Modified: at,
		Content: json.RawMessage(`{"a":[1,null]}`), ContentError: "too large",
	}
	plain := events.File{Source: "drop", Directory: "/srv/drop", Path: "a", Modified: at}
	for _, tt := range []struct {
		typ  string
		data []any
	}{
		{events.TypeScheduleDue, []any{
			events.ScheduleDue{Schedule: "nightly", Due: at, LateMS: 5, Data: json.RawMessage(`"x"`)}, events.ScheduleDue{Schedule: "nightly", Due: at},
		}},
		{events.TypeScheduleMissed, []any{events.ScheduleMissed{Schedule: "nightly", First: at, Last: at, Count: 1}}},
		{events.TypeFileCreated, []any{file, plain}},
		{events.TypeFileChanged, []any{file, plain}},
		{events.TypeFileRemoved, []any{events.FileRemoved{Source: "drop", Directory: "/srv/drop", Path: "a"}}},
	} {
		t.Run(tt.typ, func(t *testing.T) {
			t.Parallel()
			schema := schemaFor(t, tt.typ)
			compareMembers(t, schema, reflect.TypeOf(tt.data[0]))
			for _, data := range tt.data {
				e, err := events.New("/sources/x", tt.typ, data)
				if err != nil {
					t.Fatal(err)
				}
				var tree map[string]any
				if err := json.Unmarshal(e.Data(), &tree); err != nil {
					t.Fatal(err)
				}
				// Members of any type: the schema says nothing of them, but names them.
				for _, name := range []string{"content", "data"} {
					if property, ok := schema["properties"].(map[string]any)[name].(map[string]any); ok && property["type"] == nil {
						delete(tree, name)
					}
				}
				if err := conforms(schema, tree, "data"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
