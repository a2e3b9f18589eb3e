package events_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// What is published of a loss fits its schema, with and without a time.
func TestStoreRewound(t *testing.T) {
	t.Parallel()
	schema := schemaFor(t, events.TypeStoreRewound)
	compareMembers(t, schema, reflect.TypeFor[events.StoreRewound]())
	since := time.Unix(1e9, 0).UTC()
	for _, in := range []events.StoreRewound{
		{Stream: "RUNS", From: 1, Next: 1 << 20, Message: "lost"},
		{Stream: "EVENTS", From: 3, To: 9, Since: &since, Next: 1 << 20, Message: "lost"},
	} {
		e, err := events.New("/jet-bus/store", events.TypeStoreRewound, in)
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
