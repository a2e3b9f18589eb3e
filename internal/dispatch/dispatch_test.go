package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

func TestOneJobForEachRuleThatFires(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start(l.bus, deployRules)
	first := l.publish(bus.ClassExternal, l.event("com.example.deploy", "e1", "2.0"))
	l.publish(bus.ClassExternal, l.event("com.example.deploy", "e2", "skip"))
	l.judged(l.publish(bus.ClassExternal, l.event("net.example.none", "e3", "1")))

	want := map[string]int{"deploy e1": 1, "audit e1": 1, "audit e2": 1}
	if diff := cmp.Diff(want, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
	set := l.set(deployRules).Digest()
	ref := &queue.EventRef{Source: "/test", ID: "e1", Type: "com.example.deploy", Seq: first}
	for _, want := range []queue.Job{
		{
			Rule: "deploy", Playbook: "deploy.yml", Limit: []string{"web"}, Vars: map[string]any{"version": "2.0"},
			Timeout: time.Hour, OnRunnerLoss: queue.LossRequeue,
		},
		{
			Rule: "audit", Playbook: "audit.yml", Needs: map[string]string{"site": "fra"}, Check: true,
			Timeout: 5 * time.Minute, OnRunnerLoss: queue.LossFail,
		},
	} {
		want.ID = queue.ID("/test", "e1", want.Rule, "")
		want.RuleSet, want.Bundle, want.Event, want.CorrelationID = set, "b1", ref, "e1"
		want.Inventory, want.State = "inventory", queue.Pending
		got, err := l.queue.Get(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Job, cmpopts.IgnoreFields(queue.Job{}, "Created", "First")); diff != "" {
			t.Errorf("job of %s (-want +got)\n%s", want.Rule, diff)
		}
	}
}

// Jobs are stored in the order of their events, so that they take their turns in it.
func TestJobsKeepTheOrderOfTheirEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var last uint64
	for i := range 300 {
		last = l.publish(bus.ClassExternal, l.event("com.example.deploy", fmt.Sprintf("e%d", i), "2.0"))
	}
	l.start(l.bus, deployRules)
	l.judged(last)
	l.inOrder("deploy")
	l.inOrder("audit")
}

// What a rule asks for its jobs reaches their records, and so do the hosts that
// the content knows of.
func TestJobHasWhatTheRuleAsksFor(t *testing.T) {
	t.Parallel()
	l := lab{T: t}
	set := l.set(`
rules:
  - name: r
    on: com.example.deploy
    run:
      playbook: p.yml
      priority: 7
      retry: {attempts: 4, backoff: 5s}
      concurrency: {key: "v${{ event.data.version }}", policy: replace}
      approval: {expires: 2h}
      share_hosts: true
`)
	e := l.event("com.example.deploy", "e1", "3")
	hosts := func(a *rules.Action) []string { return []string{"of " + a.Playbook} }
	j := Job(Content{Set: set, Hosts: hosts}, set.Match(e, time.Time{})[0], e, 1)
	got := queue.Job{
		Priority: j.Priority, Retry: j.Retry, Concurrency: j.Concurrency, Approval: j.Approval, SharesHosts: j.SharesHosts, Hosts: j.Hosts,
	}
	want := queue.Job{
		Priority: 7, Retry: &queue.Retry{Attempts: 4, Backoff: 5 * time.Second},
		Concurrency: &queue.Concurrency{Key: "v3", Policy: queue.Replace}, Approval: &queue.Approval{Expires: 2 * time.Hour},
		SharesHosts: true, Hosts: []string{"of p.yml"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("job (-want +got)\n" + diff)
	}
}

// A job continues the chain of its event.
func TestCorrelation(t *testing.T) {
	t.Parallel()
	l := lab{T: t}
	e := l.event("com.example.deploy", "e1", "1")
	e.SetExtension(events.ExtCorrelation, "root")
	set := l.set(deployRules)
	j := Job(Content{Set: set}, set.Match(e, time.Time{})[0], e, 7)
	if j.CorrelationID != "root" {
		t.Errorf("correlation id is %q, want that of the event", j.CorrelationID)
	}
}

// The server's memory for message ids is short. The same event stored twice, as
// after a sender's retry next day, makes no second job.
func TestEventStoredTwiceMakesOneJob(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	e := l.event("com.example.deploy", "e1", "2.0")
	l.publish(bus.ClassExternal, e)
	var last uint64
	for range 3 {
		msg, err := bus.EncodeEvent(bus.EventSubject(bus.ClassExternal, e.Type()), e)
		if err != nil {
			t.Fatal(err)
		}
		msg.Header.Del(jetstream.MsgIDHeader)
		last = l.raw(msg)
	}
	l.start(l.bus, deployRules)
	l.judged(last)
	if diff := cmp.Diff(map[string]int{"deploy e1": 1, "audit e1": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
}

func TestTwoDispatchersShareTheWork(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	one := l.start(l.bus, deployRules)
	two := l.start(bustest.Connect(t, l.server, busserver.RoleBus, "two"), deployRules)
	const n = 200
	want := map[string]int{}
	var last uint64
	for i := range n {
		id := fmt.Sprintf("e%d", i)
		last = l.publish(bus.ClassExternal, l.event("com.example.deploy", id, "2.0"))
		want["deploy "+id], want["audit "+id] = 1, 1
	}
	l.judged(last)
	if diff := cmp.Diff(want, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
	for i, d := range []running{one, two} {
		if !strings.Contains(d.log.String(), "rule fired") {
			t.Errorf("dispatcher %d did nothing", i+1)
		}
	}
}

// The windows between the writes of an event: its jobs, its acknowledgement.
func TestCrashWindows(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// before does what a dispatcher did before it died with e in hand.
		before func(l lab, e events.Event, seq uint64)
	}{
		"before anything": {before: func(lab, events.Event, uint64) {}},
		"the first of two jobs is stored": {
			before: func(l lab, e events.Event, seq uint64) { l.submit(l.job(e, "deploy", seq)) },
		},
		"all is stored, the event is not acknowledged": {
			before: func(l lab, e events.Event, seq uint64) {
				l.submit(l.job(e, "deploy", seq))
				l.submit(l.job(e, "audit", seq))
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			dead := New(l.bus, l.queue, queue.DefaultTiming, slog.New(slog.DiscardHandler))
			if err := dead.Use(t.Context(), Content{Set: l.set(deployRules), Bundle: "b1"}); err != nil {
				t.Fatal(err)
			}
			e := l.event("com.example.deploy", "e1", "2.0")
			seq := l.publish(bus.ClassExternal, e)
			// The dead one had the event in hand; it comes back.
			cons, err := dead.consumer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			msg, err := cons.Next(jetstream.FetchMaxWait(5 * time.Second))
			if err != nil {
				t.Fatal(err)
			}
			tc.before(l, e, seq)
			if err := msg.Nak(); err != nil {
				t.Fatal(err)
			}

			l.start(l.bus, deployRules)
			l.judged(seq)
			if diff := cmp.Diff(map[string]int{"deploy e1": 1, "audit e1": 1}, l.jobs()); diff != "" {
				t.Error("jobs (-want +got)\n" + diff)
			}
		})
	}
}

// What was fetched ahead is given back at the stop, so that the next one need not
// wait for it.
func TestStopGivesBackWhatWasFetched(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const n = 400
	var last uint64
	for i := range n {
		last = l.publish(bus.ClassExternal, l.event("com.example.deploy", fmt.Sprintf("e%d", i), "2.0"))
	}
	first := l.start(l.bus, deployRules)
	for _, err := range l.queue.Follow(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		break // it is in the middle of them
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if done, err := Judged(t.Context(), l.bus); err != nil || done == last {
		t.Fatalf("the first dispatcher did all %d: %v", done, err)
	}
	l.start(l.bus, deployRules)
	l.judged(last) // gives up long before the events would come by themselves
	if got := l.jobs(); len(got) != 2*n {
		t.Errorf("%d jobs of %d events", len(got), n)
	}
}

func TestUnreadableMessageBlocksNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	subject := bus.EventSubject(bus.ClassExternal, "com.example.deploy")
	l.raw(&nats.Msg{Subject: subject, Data: []byte("no event at all")})
	l.raw(&nats.Msg{Subject: subject, Header: nats.Header{"Content-Type": {events.MediaType}}, Data: []byte(`{"specversion":"1.0"}`)})
	d := l.start(l.bus, deployRules)
	last := l.publish(bus.ClassExternal, l.event("com.example.deploy", "e1", "2.0"))
	l.judged(last)
	if diff := cmp.Diff(map[string]int{"deploy e1": 1, "audit e1": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
	if n := strings.Count(d.log.String(), "event cannot be read"); n != 2 {
		t.Errorf("logged %d times that an event cannot be read, want once for each of two", n)
	}
	if m, err := l.bus.Last(t.Context(), bus.StreamEvents, subject); err != nil || m.Seq != last {
		t.Errorf("last event at %d: %v", m.Seq, err)
	}
}

const ownRules = `
rules:
  - name: follow-up
    on: [dev.jet-bus.*, Dev.Jet-Bus.job.failed.v1, dev.jet-bus.job.failed.v1]
    run: {playbook: p.yml}
`

// Types of ours count only when they come from us.
func TestForgedEventsAreNotJudged(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, ownRules)
	l.publish(bus.ClassExternal, l.event(events.TypeJobFailed, "forged", "1"))
	l.publish(bus.ClassExternal, l.event("Dev.Jet-Bus.job.failed.v1", "disguised", "1"))
	// A subject of ours does not help an event of another type to it, nor an
	// event of ours that is stored as something else.
	msg, err := bus.EncodeEvent(bus.EventSubject(bus.ClassExternal, "com.example.harmless"), l.event(events.TypeJobFailed, "hidden", "1"))
	if err != nil {
		t.Fatal(err)
	}
	l.raw(msg)
	l.judged(l.publish(bus.ClassOwn, l.event(events.TypeJobFailed, "real", "1")))
	if diff := cmp.Diff(map[string]int{"follow-up real": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
	if n := strings.Count(d.log.String(), "event is not judged"); n != 3 {
		t.Errorf("logged %d times that an event is not judged, want 3\n%s", n, d.log)
	}
}

// A value of run that the event does not have fails the rule, not the event.
func TestFailedRuleIsLogged(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, `
rules:
  - name: broken
    on: [com.example.deploy]
    run: {playbook: p.yml, limit: "${{ event.data.host }}"}
  - name: sound
    on: [com.example.deploy]
    run: {playbook: p.yml}
`)
	l.judged(l.publish(bus.ClassExternal, l.event("com.example.deploy", "e1", "1")))
	if diff := cmp.Diff(map[string]int{"sound e1": 1}, l.jobs()); diff != "" {
		t.Error("jobs (-want +got)\n" + diff)
	}
	if log := d.log.String(); !strings.Contains(log, "rule=broken") || !strings.Contains(log, "rules/r.yml:5:") {
		t.Errorf("no word of the failed rule and its place in\n%s", log)
	}
}

func TestActivations(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if got, err := Activations(t.Context(), l.bus); err != nil || len(got) != 0 {
		t.Fatalf("activations of a new bus: %v, %v", got, err)
	}
	d := l.start(l.bus, deployRules)
	a, b := l.set(deployRules).Digest(), l.set(ownRules).Digest()
	want := []Activation{{RuleSet: a, Bundle: "b1", Since: 1}}
	check := func(when string) {
		t.Helper()
		got, err := Activations(t.Context(), bustest.Connect(t, l.server, busserver.RoleViewer, "viewer"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Activation{}, "At")); diff != "" {
			t.Errorf("%s: activations (-want +got)\n%s", when, diff)
		}
	}
	check("at the start")

	for i := range 3 {
		l.judged(l.publish(bus.ClassExternal, l.event("com.example.deploy", fmt.Sprint(i), "1")))
	}
	use := func(text, bundle string) {
		t.Helper()
		if err := d.Use(t.Context(), Content{Set: l.set(text), Bundle: bundle}); err != nil {
			t.Fatal(err)
		}
	}
	use(deployRules, "b1")
	check("the same set again")
	use(deployRules, "b2") // the rules are the same, a playbook changed
	want = append(want, Activation{RuleSet: a, Bundle: "b2", Since: 4})
	check("a new bundle")
	use(ownRules, "b3")
	want = append(want, Activation{RuleSet: b, Bundle: "b3", Since: 4})
	check("a new set")
	l.judged(l.publish(bus.ClassExternal, l.event("com.example.deploy", "late", "1")))
	if _, ok := l.jobs()["deploy late"]; ok {
		t.Error("an event was judged with a set that is no longer in force")
	}
	use(deployRules, "b1")
	want = append(want, Activation{RuleSet: a, Bundle: "b1", Since: 5})
	check("an old set again")
}

func TestUseOpensQueues(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := New(l.bus, l.queue, queue.Timing{Lease: 3 * time.Second}, slog.New(slog.DiscardHandler))
	if err := d.Use(t.Context(), Content{Set: l.set(deployRules), Bundle: "b1"}); err != nil {
		t.Fatal(err)
	}
	for _, needs := range []map[string]string{nil, {"site": "fra"}} {
		cons, err := l.bus.JS.Consumer(t.Context(), bus.StreamJobs, queue.NameFor(needs))
		if err != nil {
			t.Errorf("queue of jobs that need %v: %v", needs, err)
			continue
		}
		if w := cons.CachedInfo().Config.AckWait; w != 3*time.Second {
			t.Errorf("lease of jobs that need %v is %s", needs, w)
		}
	}
}

func TestStopBeforeTheStart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := New(l.bus, l.queue, queue.DefaultTiming, slog.New(slog.DiscardHandler))
	if err := d.Use(t.Context(), Content{Set: l.set(deployRules), Bundle: "b1"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
}

// A dispatcher whose consumer is taken away must not look as if it had been
// asked to stop.
func TestLostConsumerIsAnError(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := New(l.bus, l.queue, queue.DefaultTiming, slog.New(slog.DiscardHandler))
	if err := d.Use(t.Context(), Content{Set: l.set(deployRules), Bundle: "b1"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	for {
		cons, err := l.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
		if err != nil {
			t.Fatal(err)
		}
		if cons.CachedInfo().NumWaiting > 0 {
			break
		}
	}
	if err := l.bus.JS.DeleteConsumer(ctx, bus.StreamEvents, bus.ConsumerDispatch); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil || !strings.HasPrefix(err.Error(), "take events: ") {
		t.Errorf("Run returned %v", err)
	}
}

// TestTooLargeJob has a rule whose job cannot be stored beside one whose can: the
// one that can is, and the event is not tried for ever.
func TestTooLargeJob(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start(l.bus, `
rules:
  - name: greedy
    on: [com.example.big]
    run: {playbook: a.yml, vars: {a: "${{ event.data }}", b: "${{ event.data }}", c: "${{ event.data }}"}}
  - name: innocent
    on: [com.example.big]
    run: {playbook: b.yml}
`)
	e, err := events.New("/big", "com.example.big", map[string]string{"text": strings.Repeat("x", 200_000)})
	if err != nil {
		t.Fatal(err)
	}
	ack, err := l.bus.PublishEvent(t.Context(), bus.ClassExternal, e)
	if err != nil {
		t.Fatal(err)
	}
	for {
		done, err := Judged(t.Context(), l.bus)
		if err != nil {
			t.Fatal(err)
		}
		if done >= ack.Seq {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := l.queue.Get(t.Context(), queue.ID("/big", e.ID(), "innocent", "")); err != nil {
		t.Error(err)
	}
	if _, err := l.queue.Get(t.Context(), queue.ID("/big", e.ID(), "greedy", "")); !errors.Is(err, queue.ErrNoJob) {
		t.Errorf("the greedy rule's job: %v", err)
	}
	if log := d.log.String(); !strings.Contains(log, "rule failed") || !strings.Contains(log, "too large") {
		t.Errorf("log:\n%s", log)
	}
}

// TestActivationUnderLoad changes the rule set while events are being judged: for
// each event, the activations name the set that made its job.
func TestActivationUnderLoad(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	text := func(n int) string {
		return fmt.Sprintf("rules: [{name: r, on: com.example.tick, run: {playbook: p%d.yml}}]", n)
	}
	d := l.start(l.bus, text(0))
	var ids []string
	seqs := map[string]uint64{}
	for n := 1; n <= 5; n++ {
		for range 40 {
			e, err := events.New("/tick", "com.example.tick", nil)
			if err != nil {
				t.Fatal(err)
			}
			ack, err := l.bus.PublishEvent(t.Context(), bus.ClassExternal, e)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, e.ID())
			seqs[e.ID()] = ack.Seq
		}
		if err := d.Use(t.Context(), Content{Set: l.set(text(n)), Bundle: fmt.Sprintf("b%d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		done, err := Judged(t.Context(), l.bus)
		if err != nil {
			t.Fatal(err)
		}
		if done >= seqs[ids[len(ids)-1]] {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	all, err := Activations(t.Context(), l.bus)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		rec, err := l.queue.Get(t.Context(), queue.ID("/tick", id, "r", ""))
		if err != nil {
			t.Fatal(err)
		}
		var want Activation
		for _, a := range all {
			if a.Since <= seqs[id] {
				want = a
			}
		}
		if rec.RuleSet != want.RuleSet {
			t.Errorf("event %d was judged with bundle %s, the activations say %s", seqs[id], rec.Bundle, want.Bundle)
		}
	}
}
