package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// creds writes credentials to a file.
func creds(t *testing.T, s *busserver.Server, ttl time.Duration, mode os.FileMode) string {
	t.Helper()
	text, err := s.Keys().Issue(busserver.RoleViewer, "v", ttl)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "v.creds")
	if err := os.WriteFile(name, text, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// want checks that the findings of a check are one, of a level, that says text.
func want(t *testing.T, found []Finding, check string, l Level, text string) {
	t.Helper()
	for _, f := range found {
		if f.Check == check && f.Level == l && strings.Contains(f.Text, text) {
			if (f.Do == "") != (l == OK) {
				t.Errorf("%s: %q says to do %q", check, f.Text, f.Do)
			}
			return
		}
	}
	t.Errorf("%s: no %s with %q in", check, l, text)
	for _, f := range found {
		t.Logf("%s %s %s", f.Level, f.Check, f.Text)
	}
}

// put stores a value in the bucket of what is active.
func put(t *testing.T, b *bus.Bus, key, value string) {
	t.Helper()
	kv, err := b.JS.KeyValue(t.Context(), bus.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// dispatching makes the consumer that judges events.
func dispatching(t *testing.T, b *bus.Bus) jetstream.Consumer {
	t.Helper()
	cons, err := b.JS.CreateConsumer(t.Context(), bus.StreamEvents, jetstream.ConsumerConfig{
		Durable: bus.ConsumerDispatch, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cons
}

func publish(t *testing.T, b *bus.Bus, size int) {
	t.Helper()
	msg := &nats.Msg{Subject: bus.EventSubject(bus.ClassExternal, "a"), Data: bytes.Repeat([]byte("x"), size)}
	if _, _, err := b.Publish(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// TestBare is a bus that no jet-bus has worked on yet, seen by a viewer.
func TestBare(t *testing.T) {
	t.Parallel()
	s, _ := bustest.Start(t)
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	found := Examine(t.Context(), viewer, Options{CredsFile: creds(t, s, time.Hour, 0o600), Data: s.Options().Dir})
	want(t, found, "connection", OK, "as v, role viewer, answers in ")
	want(t, found, "credentials", Warning, "expires at")
	want(t, found, "server", OK, "nats-server 2.")
	want(t, found, "clock", OK, "differ by")
	want(t, found, "store", OK, "no damage")
	want(t, found, "streams", OK, "as this version makes it")
	want(t, found, "fill", OK, "EVENTS holds 0 messages and is full to 0 % of 1024 MiB")
	want(t, found, "durability", Warning, "not known")
	want(t, found, "rules", Fault, "no rule set was ever in force")
	want(t, found, "content", OK, "none was refused, and none is pinned")
	want(t, found, "events", Fault, "nobody hands events to the rules")
	want(t, found, "jobs", OK, "none yet")
	want(t, found, "runners", Warning, "none is alive")
	want(t, found, "queues", Warning, "none yet")
	want(t, found, "notify", OK, "none waits to be sent")
	want(t, found, "delivery", OK, "there are none")
	want(t, found, "paused", OK, "no rule, no queue and no source is")
	if n := Count(found, Fault); n != 2 {
		t.Errorf("%d faults, want 2", n)
	}
	for _, f := range found {
		if f.Check == "disk" {
			return
		}
	}
	t.Error("the disk of a bus on this machine was not looked at")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	for _, c := range []struct {
		ttl   time.Duration
		mode  os.FileMode
		level Level
		text  string
	}{
		{0, 0o600, OK, "does not expire"},
		{30 * 24 * time.Hour, 0o600, OK, "expires at"},
		{6 * 24 * time.Hour, 0o600, Warning, "expires at"},
		{0, 0o644, Fault, "can be read by others"},
	} {
		want(t, Examine(t.Context(), b, Options{CredsFile: creds(t, s, c.ttl, c.mode)}), "credentials", c.level, c.text)
	}
	runner := bustest.Connect(t, s, busserver.RoleRunner, "r")
	found := Examine(t.Context(), runner, Options{CredsFile: creds(t, s, 0, 0o600)})
	want(t, found, "connection", Fault, "this role cannot see")
	if len(found) != 1 {
		t.Errorf("what a role may not see is waited for: %v", found)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ahead, way time.Duration
		level      Level
		text       string
	}{
		{1900 * time.Millisecond, 0, OK, "differ by 1.9s"},
		{-3 * time.Second, 0, Warning, "3s behind this machine's"},
		{5 * time.Second, time.Second, Warning, "5s ahead of this machine's"},
		{3 * time.Second, 4 * time.Second, OK, "differ by 3s"}, // the way explains it
	} {
		e := &examination{check: "clock"}
		e.tellClock(c.ahead, c.way)
		want(t, e.found, "clock", c.level, c.text)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 1 << 20, RunsMaxBytes: 1 << 20}))
	o := Options{CredsFile: creds(t, s, 0, 0o600)}
	for range 17 {
		publish(t, b, 50<<10)
	}
	found := Examine(t.Context(), b, o)
	want(t, found, "fill", Warning, "EVENTS holds 17 messages and is full to 83 % of 1 MiB: it will refuse")
	want(t, found, "fill", OK, "RUNS holds 0 messages")
	for range 3 {
		publish(t, b, 50<<10)
	}
	publish(t, b, 10<<10)
	want(t, Examine(t.Context(), b, o), "fill", Fault, "it refuses what does not fit")

	info, err := b.JS.Stream(t.Context(), bus.StreamRuns)
	if err != nil {
		t.Fatal(err)
	}
	c := info.CachedInfo().Config
	c.AllowRollup = false
	if _, err := b.JS.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := b.JS.DeleteKeyValue(t.Context(), bus.BucketQueues); err != nil {
		t.Fatal(err)
	}
	put(t, b, bus.KeyDurability, "process")
	put(t, b, bus.KeyRuleSet, `{"rule_set": "aaaa", "bundle": "bbbb", "since": 1}`)
	found = Examine(t.Context(), b, o)
	want(t, found, "streams", Fault, "RUNS has allow_rollup_hdrs none and should have true; KV_queues is missing")
	want(t, found, "durability", Warning, "process: what is accepted survives a crash of jet-bus; a power cut")
	want(t, found, "rules", Fault, "the content bbbb of the rule set in force is not on the bus")
	want(t, found, "queues", Fault, "cannot be seen")

	store, err := b.JS.ObjectStore(t.Context(), bus.ObjectsBundles)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutString(t.Context(), "bbbb", "content"); err != nil {
		t.Fatal(err)
	}
	put(t, b, bus.KeyDurability, "power")
	found = Examine(t.Context(), b, o)
	want(t, found, "durability", OK, "power: ")
	want(t, found, "rules", OK, "set aaaa with content bbbb is in force since event 1")
}

// What a jet-bus says of its store is a fault, for a viewer too.
func TestDamage(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	if err := b.TellDamage(t.Context(), "the store is damaged: 1.blk"); err != nil {
		t.Fatal(err)
	}
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	found := Examine(t.Context(), viewer, Options{CredsFile: creds(t, s, 0, 0o600)})
	want(t, found, "store", Fault, "the store is damaged: 1.blk; no event is judged")
	runner := bustest.Connect(t, s, busserver.RoleRunner, "r")
	if err := runner.TellDamage(t.Context(), "x"); err == nil {
		t.Error("a runner may say that the store is damaged")
	}
	if list, err := queue.New(b, nil).Runners(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("runners %v, %v", list, err)
	}
}

// What is paused and has work waiting is told, with what resumes it.
func TestPaused(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	q := queue.New(b, nil)
	if err := q.Open(t.Context(), nil, queue.Timing{Lease: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	o := Options{CredsFile: creds(t, s, 0, 0o600)}
	for _, p := range []control.Pause{
		{Kind: control.Queue, Name: queue.NameFor(nil), By: "ann", Reason: "maintenance"},
		{Kind: control.Rule, Name: "deploy", By: control.ByBreaker, From: 7},
	} {
		if _, err := control.Set(t.Context(), b, p); err != nil {
			t.Fatal(err)
		}
	}
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	want(t, Examine(t.Context(), viewer, o), "paused", OK, "by ann: maintenance; 0 of its jobs wait")
	if _, _, err := q.Submit(t.Context(), queue.Job{ID: queue.NewID(), Rule: "deploy"}); err != nil {
		t.Fatal(err)
	}
	found := Examine(t.Context(), viewer, o)
	want(t, found, "paused", Warning, "by ann: maintenance; 1 of its jobs wait")
	want(t, found, "paused", Warning, "by breaker; 1 of its jobs wait, and it judges no event from 7 on")
	for _, do := range []string{"jet queues resume " + queue.NameFor(nil), "jet rules resume deploy"} {
		if !slices.ContainsFunc(found, func(f Finding) bool { return strings.HasPrefix(f.Do, do+",") }) {
			t.Errorf("nothing says to %s", do)
		}
	}
	if _, err := control.Resume(t.Context(), b, control.Rule, "deploy", "ann", false); err != nil {
		t.Fatal(err)
	}
	for _, f := range Examine(t.Context(), viewer, o) {
		if f.Check == "paused" && strings.Contains(f.Text, "deploy") {
			t.Errorf("a rule that is resuming is told of: %s", f.Text)
		}
	}
}

func TestWork(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	o := Options{CredsFile: creds(t, s, 0, 0o600)}
	cons := dispatching(t, b)
	publish(t, b, 1)
	publish(t, b, 1)
	if msg, err := cons.Next(); err != nil || msg.DoubleAck(t.Context()) != nil {
		t.Fatal("no event to judge")
	}
	want(t, Examine(t.Context(), b, o), "events", OK, "1 are not judged yet, 0 of them in hand, the oldest stored ")
	e := &examination{o: o, bus: b, queue: queue.New(b, nil), check: "events", clock: 2 * time.Minute}
	if err := e.events(t.Context()); err != nil { // as if two minutes had gone by on the bus
		t.Fatal(err)
	}
	want(t, e.found, "events", Fault, "1 are not judged yet, 0 of them in hand, the oldest stored 2m")
	if msg, err := cons.Next(); err != nil || msg.DoubleAck(t.Context()) != nil {
		t.Fatal("no event to judge")
	}
	want(t, Examine(t.Context(), b, o), "events", OK, "all are judged, up to 2")

	q := queue.New(b, nil)
	needs := map[string]string{"gpu": "yes", "zone": "a"}
	lease := queue.Timing{Lease: 10 * time.Second}
	for _, n := range []map[string]string{nil, needs} {
		if err := q.Open(t.Context(), n, lease); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := q.Submit(t.Context(), queue.Job{ID: queue.NewID(), Needs: needs}); err != nil {
		t.Fatal(err)
	}
	running := queue.Job{ID: queue.NewID(), State: queue.Running, Runner: "r9", Attempt: 1}
	kept := queue.Job{ID: queue.NewID(), State: queue.Pending, Runner: "r9", Attempt: 1, Losses: 1, Hosts: []string{"web1"}}
	waiting := queue.Job{ID: queue.NewID(), State: queue.Pending, Hosts: []string{"web1"}}
	for _, j := range []queue.Job{running, kept, waiting} {
		text, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.StateSubject(j.ID), Data: text}); err != nil {
			t.Fatal(err)
		}
	}
	found := Examine(t.Context(), b, o)
	want(t, found, "jobs", OK, "3 pending, 1 running")
	want(t, found, "runners", Fault, "1 waiting in queue "+queue.NameFor(needs)+", and no runner alive may have them")
	want(t, found, "runners", Fault, "2 waiting in queue default, and no runner alive may have them; "+
		"interrupted, and keeping their hosts from other jobs until they run again: "+kept.ID[:12])
	want(t, found, "queues", OK, queue.NameFor(needs)+": 0 wake-ups wait, 0 are in hand")
	for clock, level := range map[time.Duration]Level{30 * time.Second: Warning, time.Minute: Fault} {
		e := &examination{o: o, bus: b, queue: q, check: "jobs", clock: clock}
		if err := e.running(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, e.found, "jobs", level, "without a heartbeat: "+running.ID[:12]+" on runner r9 for ")
	}

	ctx, cancel := context.WithCancel(t.Context())
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		q.Register(ctx, func() queue.RunnerInfo {
			return queue.RunnerInfo{Name: "r1", Slots: 4, Busy: 1, Labels: map[string]string{"gpu": "yes", "zone": "a"}}
		})
	}()
	defer func() { cancel(); <-registered }()
	until, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for until.Err() == nil {
		if list, err := q.Runners(until); err == nil && len(list) == 1 {
			break
		}
	}
	want(t, Examine(t.Context(), b, o), "runners", OK, "1 alive, 1 of 4 slots busy")
}

// A source that fails is told, by how long, with what to do; one that nobody runs too.
func TestSources(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	o := Options{CredsFile: creds(t, s, 0, 0o600)}
	now := time.Now().UTC()
	fares := func(st intake.State) {
		t.Helper()
		data, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: "$KV.sources.state." + st.Name, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	fares(intake.State{Name: "fine", State: intake.OK, Next: now.Add(-time.Minute)})
	fares(intake.State{Name: "off", State: intake.Off})
	want(t, Examine(t.Context(), viewer, o), "sources", OK, "2, and none fails")
	fares(intake.State{Name: "late", State: intake.OK, Next: now.Add(-time.Hour)})
	fares(intake.State{Name: "new", State: intake.Failing, FailedSince: now.Add(-time.Minute), Error: "no answer"})
	fares(intake.State{Name: "old", State: intake.Failing, FailedSince: now.Add(-time.Hour), Error: "no route"})
	fares(intake.State{Name: "hook-app", State: intake.Failing, Since: now, Error: "no secret"})
	found := Examine(t.Context(), viewer, o)
	want(t, found, "sources", Warning, "source late should have looked for events 1h")
	want(t, found, "sources", Warning, "source new fails since "+now.Add(-time.Minute).Format("2006-01-02 15:04")+" UTC: no answer")
	want(t, found, "sources", Fault, "source old fails since "+now.Add(-time.Hour).Format("2006-01-02 15:04")+" UTC: no route")
	want(t, found, "sources", Warning, "webhook app fails since ")
	if _, err := control.Set(t.Context(), b, control.Pause{Kind: control.Source, Name: "fine", By: "ann", Reason: "too loud"}); err != nil {
		t.Fatal(err)
	}
	want(t, Examine(t.Context(), viewer, o), "paused", Warning, "by ann: too loud")
}
