package subject

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/sourcetest"
)

func (o *other) config() Config {
	return Config{Server: Servers{o.url()}, Subject: "s.>", Stream: "S", Type: "com.example.t"}
}

// acked waits until the consumer has nothing that is not acknowledged, and all up to
// floor.
func (o *other) acked(durable string, floor uint64) {
	o.Helper()
	until(o.T, fmt.Sprintf("message %d to be acknowledged", floor), func() bool {
		c, err := o.js.Consumer(o.Context(), "S", durable)
		return err == nil && c.CachedInfo().AckFloor.Stream >= floor && c.CachedInfo().NumAckPending == 0
	})
}

func TestStream(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	o.stream("S", "s.>", "other")
	o.put("s.a", "0")
	f := &sourcetest.Feed{Title: "n"}
	l := begin(t, o.config(), f)
	if h := l.health(1); h.Err != nil {
		t.Fatal(h.Err)
	}
	o.put("s.a", "1", "no json")
	o.put("other", "2")
	o.put("s.b", "3")
	l.stored("1", "3")
	o.acked("jet-bus-n", 5)
	e, first := f.Stored()[0], f.Stored()[1]
	if e.Subject() != "s.a" || e.Source() != "/sources/n" || !strings.HasPrefix(e.ID(), fmt.Sprintf("S:2:%d", e.Time().UnixMilli())) || first.ID()[:4] != "S:5:" {
		t.Errorf("event %v", e)
	}
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	// What comes meanwhile is not lost.
	o.put("s.a", "4")
	l = begin(t, o.config(), f)
	l.stored("1", "3", "4")
	o.acked("jet-bus-n", 6)
	if err := l.stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(f.Cursor()), `"floor":6`) {
		t.Errorf("cursor %s", f.Cursor())
	}
	all := o.config()
	all.Deliver, all.Durable = deliverAll, "all"
	begin(t, all, &sourcetest.Feed{}).stored("0", "1", "3", "4")
}

// Whoever is killed between storing and acknowledging gets the message again, and it
// is the same event.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	s := o.stream("S", "s.>")
	// Another life of ours took them, stored the first, and was killed.
	cons, err := s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "jet-bus-test", FilterSubject: "s.>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.put("s.a", "1", "2")
	batch, err := cons.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	f := &sourcetest.Feed{}
	taken := 0
	for m := range batch.Messages() {
		if taken++; taken > 1 {
			continue
		}
		one, err := fromStream(m)
		if err != nil {
			t.Fatal(err)
		}
		e, err := (&subject{Config: o.config()}).event("test", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	c := o.config()
	c.Content = contentText // as an event of JSON above was: another form, the same event
	l := begin(t, c, f)
	o.acked("jet-bus-test", 2)
	l.stored(data(f)[0], "2")
	if taken != 2 {
		t.Errorf("%d messages were taken before", taken)
	}
}

// While the bus takes nothing, no more is fetched, and nothing is lost.
func TestSlowBus(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	o.stream("S", "s.>")
	const n = 500
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	release := make(chan struct{})
	var tried atomic.Int32
	f := &sourcetest.Feed{Refuse: func(events.Event) error { tried.Add(1); <-release; return nil }}
	l := begin(t, o.config(), f)
	l.health(1)
	o.put("s.a", want...)
	until(t, "the first event", func() bool { return tried.Load() > 0 })
	c, err := o.js.Consumer(t.Context(), "S", "jet-bus-test")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().NumAckPending; got > 2*inHand {
		t.Errorf("%d messages are in hand, at most %d should be", got, 2*inHand)
	}
	close(release)
	l.stored(want...)
}

// A consumer that is deleted is told, and made anew where it was; a stream that is
// deleted is told too, and its successor is read from its beginning, by other ids.
func TestDeleted(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	o.stream("S", "s.>")
	f := &sourcetest.Feed{}
	l := begin(t, o.config(), f)
	l.health(1)
	o.put("s.a", "1")
	l.stored("1")
	o.acked("jet-bus-test", 1)
	if err := o.js.DeleteConsumer(t.Context(), "S", "jet-bus-test"); err != nil {
		t.Fatal(err)
	}
	if err := l.end(); err == nil || err.Error() != "consumer jet-bus-test of stream S was deleted on the server" {
		t.Errorf("Run: %v", err)
	}
	o.put("s.a", "2")
	l = begin(t, o.config(), f)
	l.stored("1", "2")
	if err := o.js.DeleteStream(t.Context(), "S"); err != nil {
		t.Fatal(err)
	}
	if err := l.end(); err == nil || err.Error() != "stream S was deleted on the server" {
		t.Errorf("Run: %v", err)
	}
	if err := begin(t, o.config(), f).end(); err == nil || err.Error() != "the server has no stream S" {
		t.Errorf("Run: %v", err)
	}
	o.stream("S", "s.>")
	o.put("s.a", "3")
	l = begin(t, o.config(), f)
	l.stored("1", "2", "3")
	o.put("s.a", "4")
	l.stored("1", "2", "3", "4")
}

// A consumer that is there must do; ours gets another subject.
func TestFit(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	s := o.stream("S", "s.>")
	for _, c := range []jetstream.ConsumerConfig{
		{Durable: "none", AckPolicy: jetstream.AckNonePolicy},
		{Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: []string{"s.a", "s.b"}},
		{Durable: "jet-bus-test", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "s.a"},
	} {
		if _, err := s.CreateConsumer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.CreateOrUpdatePushConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "push", DeliverSubject: "deliver"}); err != nil {
		t.Fatal(err)
	}
	for durable, want := range map[string]string{
		"none":   "consumer none of stream S does not want its messages acknowledged",
		"theirs": `consumer theirs of stream S is for the subjects ["s.a" "s.b"], not for s.>`,
		"push":   "consumer push of stream S is a push consumer",
	} {
		c := o.config()
		c.Durable = durable
		if err := begin(t, c, &sourcetest.Feed{}).end(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f := &sourcetest.Feed{}
	l := begin(t, o.config(), f)
	l.health(1)
	o.put("s.c", "1")
	l.stored("1")
}

// Another jet-bus has the source: nothing more is taken, and what was is given back.
func TestLost(t *testing.T) {
	t.Parallel()
	o := theirs(t).client()
	o.stream("S", "s.>")
	f := &sourcetest.Feed{SaveError: source.ErrLost}
	if err := begin(t, o.config(), f).end(); err == nil || !strings.Contains(err.Error(), source.ErrLost.Error()) {
		t.Errorf("Run: %v", err)
	}
	if diff := cmp.Diff([]string{}, data(f)); diff != "" {
		t.Error(diff)
	}
}
