package jobevent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/queue"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.life("before", queue.Failed)
	f := l.follow(l.bus, all)
	j := queue.Job{ID: "a", Rule: "deploy", State: queue.Unapproved, Created: time.Unix(1e9, 0).UTC()}
	j.First = l.put(j)
	l.put(with(j, queue.Pending, 0))
	l.put(with(j, queue.Pending, 0)) // as a claim that learned the hosts does
	l.put(with(j, queue.Running, 1))
	lost := with(j, queue.Pending, 1)
	lost.Losses = 1
	l.put(lost)
	lost.State, lost.Attempt = queue.Running, 2
	l.put(lost)
	lost.State = queue.Succeeded
	l.put(lost)
	l.life("b", queue.Dead)
	l.expect("deploy:rule.fired a:queued a:queued a:started a:lost a:queued a:started a:succeeded b:queued b:started b:dead")
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if c, _ := l.stored(); c.Idle || c.Next != 14 {
		t.Errorf("cursor %+v", c)
	}
}

func with(j queue.Job, s queue.State, attempt int) queue.Job {
	j.State, j.Attempt = s, attempt
	return j
}

// Only what is wanted is published, and a record that cannot be read hides no other.
func TestSome(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.follow(l.bus, only(events.TypeJobFailed))
	l.life("a", queue.Succeeded)
	if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: bus.StateSubject("x"), Data: []byte(`{"id":`)}); err != nil {
		t.Fatal(err)
	}
	l.life("b", queue.Failed)
	l.life("c", queue.Dead)
	l.life("d", queue.Failed)
	l.expect("b:failed d:failed")
}

// While nothing is wanted nothing is read, stored or told. What is wanted later is told
// from then on.
func TestNothingWanted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.follow(l.bus, only("com.example.other"))
	asked := l.bus.Conn.Stats().OutMsgs
	l.life("a", queue.Failed)
	if sent := l.bus.Conn.Stats().OutMsgs - asked; sent > 3+2 { // the three revisions, and a look whether there is a cursor
		t.Errorf("%d messages were sent", sent)
	}
	if c, ok := l.stored(); ok {
		t.Errorf("cursor %+v", c)
	}
	end, err := f.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.life("b", queue.Failed) // after the rules were asked for, before they were in force
	f.Want("test", all, end)
	l.life("c", queue.Failed)
	l.expect("b:queued b:started b:failed c:queued c:started c:failed")

	f.Want("test", nil, End{})
	l.until("idle cursor", func() bool { c, _ := l.stored(); return c.Idle }, f.log.String)
	l.life("d", queue.Failed)
	if end, err = f.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Want("another", only(events.TypeJobFailed), end)
	l.life("e", queue.Failed)
	l.expect("b:queued b:started b:failed c:queued c:started c:failed e:failed")
	// A life that wants nothing says so, for those after it.
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	idle := l.follow(l.bus, nil)
	l.until("idle cursor", func() bool { c, _ := l.stored(); return c.Idle }, idle.log.String)
	l.life("f", queue.Failed)
	if err := idle.stop(); err != nil {
		t.Fatal(err)
	}
	l.follow(l.bus, only(events.TypeJobFailed))
	l.life("g", queue.Failed)
	l.expect("b:queued b:started b:failed c:queued c:started c:failed e:failed g:failed")
}

// What happened while nobody followed is told by the next life, in order.
func TestRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	f := l.follow(l.bus, all)
	j := queue.Job{ID: "a", State: queue.Pending}
	j.First = l.put(j)
	l.put(with(j, queue.Running, 1))
	l.expect("a:queued a:started")
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	lost := with(j, queue.Pending, 1)
	lost.Losses = 1
	l.put(lost)
	l.life("b", queue.Failed)
	f = l.follow(l.bus, all)
	l.expect("a:queued a:started a:lost a:queued b:queued b:started b:failed")

	// Of a job whose history was swept there is its end.
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	j.ID = "c"
	j.First = l.put(j)
	l.put(with(j, queue.Running, 1))
	gone := with(j, queue.Failed, 2)
	gone.Losses = 1
	last := l.put(gone)
	if err := l.bus.Purge(t.Context(), bus.StreamRuns, bus.StateSubject("c"), last); err != nil {
		t.Fatal(err)
	}
	l.follow(l.bus, all)
	l.expect("a:queued a:started a:lost a:queued b:queued b:started b:failed c:failed")
}

// A process that dies after it published and before it noted that publishes again, the
// same.
func TestCrash(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	first := bustest.Connect(t, l.server, busserver.RoleBus, "first")
	f := l.follow(first, all, func(f *Follower) { f.save = time.Hour })
	const want = "a:queued a:started a:failed"
	l.life("a", queue.Failed)
	once := l.expect(want)
	first.Conn.Close() // nothing more can be written
	_ = f.stop()
	if c, ok := l.stored(); !ok || c.Idle || c.Next != 1 {
		t.Fatalf("cursor %+v", c)
	}
	f = l.follow(l.bus, all, func(f *Follower) { f.save = time.Millisecond })
	l.until("cursor", func() bool { c, _ := l.stored(); return c.Next == 4 }, f.log.String)
	l.expect(want)
	// What the server has dropped was the same, in every byte.
	again := &jobs{bus: l.bus, known: map[string]seen{}}
	var list []events.Event
	for m, err := range l.bus.Tail(t.Context(), bus.StreamRuns, bus.AllStates, bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		made, err := again.tell(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, made...)
	}
	text := func(list []events.Event) (out []string) {
		for _, e := range list {
			data, err := events.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(data))
		}
		return out
	}
	if d := cmp.Diff(text(once), text(list)); d != "" {
		t.Error(d)
	}
}

// A store that lost its end is told of from there on.
func TestRewound(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.life("a", queue.Failed)
	data, err := json.Marshal(cursor{Next: 100})
	if err != nil {
		t.Fatal(err)
	}
	subject := "$KV." + bus.BucketSources + "." + bus.KeyJobEvents
	if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: subject, Data: data}); err != nil {
		t.Fatal(err)
	}
	f := l.follow(l.bus, only(events.TypeJobFailed))
	l.until("warning", func() bool { return strings.Contains(f.log.String(), "behind where they were") }, f.log.String)
	l.life("b", queue.Failed)
	l.expect("b:failed")
}

// The server is restarted, and the follower goes on.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.follow(l.bus, only(events.TypeJobFailed))
	l.life("a", queue.Failed)
	l.expect("a:failed")
	bustest.Restart(t, l.server)
	l.until("connection", l.bus.Conn.IsConnected, func() string { return "" })
	l.life("b", queue.Failed)
	l.expect("a:failed b:failed")
}

// Of two jet-bus one tells at a time, and the other goes on where it was.
func TestTwo(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	holding := make(chan int, 2)
	var stops []func()
	for i, name := range []string{"one", "two"} {
		b := bustest.Connect(t, l.server, busserver.RoleBus, name)
		f := New(b, nil)
		end, err := f.End(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f.Want("rules", only(events.TypeJobQueued, events.TypeJobFailed), end)
		ctx, stop := context.WithCancel(ctx)
		stops = append(stops, stop)
		defer stop()
		wg.Go(func() {
			if err := b.Hold(ctx, "job-events", func(ctx context.Context) error {
				holding <- i
				return f.Run(ctx)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	var want []string
	holder := <-holding
	for _, id := range []string{"a", "b", "c", "d"} {
		l.life(id, queue.Failed)
		want = append(want, id+":queued", id+":failed")
		if id == "b" {
			stops[holder]()
		}
	}
	l.expect(strings.Join(want, " "))
	if next := <-holding; next == holder {
		t.Error("the same one goes on")
	}
}

// Two that both believe to be alone, as after one was frozen, tell each step once, and
// what is noted in the end is how far both are.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	second := bustest.Connect(t, l.server, busserver.RoleBus, "second")
	often := func(f *Follower) { f.save = time.Millisecond }
	one, two := l.follow(l.bus, only(events.TypeJobFailed), often), l.follow(second, only(events.TypeJobFailed), often)
	var want []string
	for i := range 50 {
		id := fmt.Sprintf("j%02d", i)
		l.life(id, queue.Failed)
		want = append(want, id+":failed")
	}
	l.until("cursor", func() bool { c, _ := l.stored(); return c.Next == 151 }, func() string { return one.log.String() + two.log.String() })
	got := make(map[string]int)
	for _, e := range l.told() {
		got[e.ID()]++
	}
	if len(got) != len(want) || len(l.told()) != len(want) {
		t.Errorf("told %s", words(l.told()))
	}
	l.until("conflict", func() bool {
		return strings.Contains(one.log.String()+two.log.String(), "events about jobs have to wait")
	}, func() string { return "they have never met" })
}

// Firings of rules without a playbook are told from the decisions.
func TestDecisions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.follow(l.bus, only(events.TypeRuleFired))
	at := time.Unix(1e9, 0).UTC()
	cause := &queue.EventRef{Source: "/s", ID: "e", Type: "com.example.x", Seq: 4, Depth: 1}
	record := func(id string, change func(*ordered.Record)) {
		r := ordered.Record{ID: id, Rule: id, Outcome: "fired", RuleSet: "set", At: at, Event: cause, Correlation: "root", Published: []string{"p"}}
		change(&r)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.bus.Publish(t.Context(), &nats.Msg{Subject: bus.DecisionSubject(id), Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	record("shadow", func(r *ordered.Record) { r.Outcome = "shadowed" })
	record("job", func(r *ordered.Record) { r.Job = "j" })
	record("held", func(r *ordered.Record) { r.Held = true })
	record("dropped", func(r *ordered.Record) { r.Dropped = true })
	record("itself", func(r *ordered.Record) { r.Event = &queue.EventRef{Type: events.TypeRuleFired} })
	record("timed", func(r *ordered.Record) { r.Event, r.Correlation = nil, "" })
	record("told", func(*ordered.Record) {})
	got := l.expect("timed:rule.fired told:rule.fired")
	e := got[1]
	if e.ID() != "told.fired" || e.Source() != "/rules/told" || events.Extension(e, events.ExtDepth) != "2" ||
		events.Extension(e, events.ExtCorrelation) != "root" || events.Extension(e, events.ExtCausation) != "e" {
		t.Errorf("%s", e)
	}
	var data events.RuleFired
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	want := events.RuleFired{
		Rule: "told", RuleSet: "set", Event: &events.EventName{ID: "e", Source: "/s", Type: "com.example.x", Seq: 4}, Published: []string{"p"}, At: at,
	}
	if d := cmp.Diff(want, data); d != "" {
		t.Error(d)
	}
}
