package dispatch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// An event that was in hand when its dispatcher died is judged as soon as there is
// another: nobody waits for the time after which the server would give it again.
func TestNextLifeTakesWhatWasInHand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if err := l.start(l.bus, deployRules).stop(); err != nil {
		t.Fatal(err)
	}
	seq := l.publish(bus.ClassExternal, l.event("com.example.deploy", "e1", "2.0"))
	cons, err := l.bus.JS.Consumer(t.Context(), bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(jetstream.FetchMaxWait(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	l.start(l.bus, deployRules)
	l.judged(seq)
	if took := time.Since(begin); took > ackWait/2 {
		t.Errorf("it took %s", took)
	}
	if diff := cmp.Diff(map[string]int{"deploy e1": 1, "audit e1": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
}
