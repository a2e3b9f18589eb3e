package doctor

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/deliver"
)

// A sink that has failed for long is told, with what waits for it; one that fails since
// a moment ago is not.
func TestSubscriptions(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	kv, err := b.JS.KeyValue(t.Context(), bus.BucketSources)
	if err != nil {
		t.Fatal(err)
	}
	set := func(name, state string, since time.Duration) {
		t.Helper()
		data, err := json.Marshal(deliver.State{
			Name: name, Kind: "subscription", State: state, Since: time.Now().Add(-since), Sink: "https://" + name + ".example.com",
			Error: "https://" + name + ".example.com answers 503", GivenUp: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), "delivery."+name, data); err != nil {
			t.Fatal(err)
		}
	}
	look := func() []Finding {
		e := &examination{bus: bustest.Connect(t, s, busserver.RoleViewer, "v"), check: "delivery"}
		if err := e.subscriptions(t.Context()); err != nil {
			t.Fatal(err)
		}
		return e.found
	}
	want(t, look(), "delivery", OK, "there are none")
	set("audit", deliver.StateOK, time.Hour)
	set("fresh", deliver.StateFailing, time.Minute)
	if _, err := kv.PutString(t.Context(), "state.x", `{"name":"x","kind":"schedule","state":"failing"}`); err != nil {
		t.Fatal(err)
	}
	want(t, look(), "delivery", OK, "2 are delivered, 0 of their events wait")
	set("ops", deliver.StateFailing, time.Hour)
	found := look()
	want(t, found, "delivery", Warning, "ops fails for 1h0m")
	want(t, found, "delivery", Warning, "https://ops.example.com answers 503; 0 events wait, 2 were given up")
	if len(found) != 1 {
		t.Errorf("findings %+v", found)
	}
}
