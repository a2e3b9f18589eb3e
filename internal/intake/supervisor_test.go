package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/source"
)

// counter publishes n1, n2 and so on, as many as it is let, and remembers how far it is.
func counter(let <-chan struct{}) run {
	return func(ctx context.Context, f source.Feed) error {
		var at struct{ N int }
		if _, err := f.Load(ctx, &at); err != nil {
			return err
		}
		f.OK(time.Time{})
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-let:
			}
			at.N++
			if err := f.Publish(ctx, happened(fmt.Sprintf("n%d", at.N))); err != nil {
				return err
			}
			if err := f.Save(ctx, at); err != nil {
				return err
			}
		}
	}
}

// A source goes on where it was, also after it was gone from the content.
func TestCursor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	let := make(chan struct{}, 10)
	let <- struct{}{}
	let <- struct{}{}
	_, stop := l.start(one(counter(let)))
	l.eventually("two events", func() bool { return l.state("a").Events == 2 })
	stop()
	if s := l.state("a"); s.State != OK || s.Kind != "test" || s.Event == nil || s.Event.ID != "n2" || s.Event.Type != "com.example.thing" || s.Checked.IsZero() {
		t.Errorf("state %+v", s)
	}
	since := l.state("a").Since
	s, _ := l.start(one(counter(let)))
	let <- struct{}{}
	l.eventually("a third", func() bool { return l.state("a").Events == 3 })
	if got := l.state("a").Since; got != since {
		t.Errorf("it is well since %s, and was not broken off since %s", got, since)
	}
	s.Use(nil)
	l.eventually("it is gone", func() bool { return l.state("a").Name == "" })
	if _, err := Get(t.Context(), l.bus, "a"); !errors.Is(err, ErrUnknown) {
		t.Errorf("get what is gone: %v", err)
	}
	s.Use(one(counter(let)))
	let <- struct{}{}
	l.eventually("a fourth", func() bool { return l.state("a").Events == 1 })
	if diff := cmp.Diff([]string{"n1", "n2", "n3", "n4"}, l.ids()); diff != "" {
		t.Error(diff)
	}
	_, subjects := l.stored()
	if subjects[0] != bus.EventSubject(bus.ClassExternal, "com.example.thing") {
		t.Errorf("stored on %s", subjects[0])
	}

	// What another kind saved under the name says nothing to this one, which begins
	// anew: its first event is known.
	e := one(counter(let)).byName["a"]
	e.kind.Key = "other"
	s.Use(&Sources{byName: map[string]entry{"a": {kind: e.kind, source: e.source, enabled: true, digest: "other"}}})
	l.eventually("the other kind runs", func() bool { s := l.state("a"); return s.Kind == "other" && s.State == OK })
	let <- struct{}{}
	c := &cursor{bus: l.bus, name: "a", kind: "other"}
	l.eventually("it has saved", func() bool { return c.open(t.Context()) == nil && c.data != nil })
	if string(c.data) != `{"N":1}` || len(l.ids()) != 4 {
		t.Errorf("saved %s; events %v", c.data, l.ids())
	}
}

// Who stops between the event and the cursor tells nothing twice; a panic ends no more
// than its source.
func TestPanic(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var runs atomic.Int32
	let := make(chan struct{}, 10)
	_, _ = l.start(those(map[string]run{
		"a": func(ctx context.Context, f source.Feed) error {
			n := runs.Add(1)
			f.OK(time.Time{})
			if err := f.Publish(ctx, happened("e1")); err != nil {
				return err
			}
			if n <= 2 {
				panic("what a mess")
			}
			if err := f.Save(ctx, n); err != nil {
				return err
			}
			f.OK(time.Time{})
			<-ctx.Done()
			return nil
		},
		"b": counter(let),
	}, ""))
	l.eventually("it is well", func() bool { s := l.state("a"); return runs.Load() == 3 && s.State == OK && s.Failures == 0 })
	let <- struct{}{}
	l.eventually("the other goes on", func() bool { return l.state("b").Events == 1 })
	s := l.state("a")
	if s.Error != "it panicked, which is a fault of jet-bus: what a mess" || s.ErrorAt.IsZero() || s.Look != nil {
		t.Errorf("state %+v", s)
	}
	n := 0
	for _, id := range l.ids() {
		if id == "e1" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the event is stored %d times", n)
	}
	if text := l.log.String(); !strings.Contains(text, "supervisor_test.go") {
		t.Errorf("the log does not say where\n%s", text)
	}
}

// That a source fails is an event, and that it works again; how often is not.
func TestFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	say := make(chan error)
	said := make(chan struct{})
	_, stop := l.start(one(func(ctx context.Context, f source.Feed) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case err := <-say:
				if err == nil {
					f.OK(f.Now().Add(time.Hour))
				} else {
					f.Failed(err, f.Now().Add(time.Hour))
				}
				said <- struct{}{}
			}
		}
	}))
	tell := func(err error) {
		say <- err
		<-said
	}
	l.eventually("it waits", func() bool { return l.state("a").State == Waiting })
	tell(nil)
	tell(nil)
	l.eventually("it is well", func() bool { return l.state("a").State == OK })
	for range 3 {
		tell(errors.New("no answer\nfrom \x1b[31mthe site"))
	}
	l.eventually("failures", func() bool { return l.state("a").Failures == 3 })
	failing := l.state("a")
	if failing.State != Failing || failing.Error != "no answer from \uFFFD[31mthe site" || failing.Next.IsZero() {
		t.Errorf("state %+v", failing)
	}
	tell(nil)
	l.eventually("it is well again", func() bool { s := l.state("a"); return s.State == OK && len(s.Telling) == 0 })
	if s := l.state("a"); s.Failures != 0 || !s.FailedSince.IsZero() || s.Error != failing.Error {
		t.Errorf("state %+v", s)
	}
	l.eventually("two events", func() bool { return len(l.types()) == 2 })
	stop()
	all, subjects := l.stored()
	if diff := cmp.Diff([]string{events.TypeSourceFailed, events.TypeSourceRecovered}, l.types()); diff != "" {
		t.Fatal(diff)
	}
	for i, e := range all {
		var got struct {
			events.SourceFailed
		}
		if err := e.DataAs(&got.SourceFailed); err != nil {
			t.Fatal(err)
		}
		want := events.SourceFailed{Source: "a", Kind: "test", Error: failing.Error, Failures: uint64(1 + 2*i), Since: failing.FailedSince}
		if diff := cmp.Diff(want, got.SourceFailed); diff != "" {
			t.Error(diff)
		}
		if e.Source() != "/sources/a" || e.Subject() != "a" || subjects[i] != bus.EventSubject(bus.ClassOwn, e.Type()) {
			t.Errorf("event %v on %s", e, subjects[i])
		}
		if want := failing.FailedSince.Format(time.RFC3339Nano); !strings.HasPrefix(e.ID(), want+".") {
			t.Errorf("id %s, want it to follow from %s", e.ID(), want)
		}
	}
}

// A crash does not lose what is to be told, and a restart is no end of failures.
func TestFailuresSurvive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	since := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	crashed := State{
		Name: "a", Kind: "test", State: Failing, Since: since, Error: "no answer", ErrorAt: since, Failures: 1, FailedSince: since,
		Telling: []telling{{Error: "no answer", Failures: 1, Since: since}},
	}
	if _, err := put(t.Context(), l.bus, keyState, "a", crashed); err != nil {
		t.Fatal(err)
	}
	_, stop := l.start(one(func(context.Context, source.Feed) error { return errors.New("still no answer") }))
	l.eventually("told", func() bool { s := l.state("a"); return len(s.Telling) == 0 && s.Failures > 2 })
	stop()
	all, _ := l.stored()
	if len(all) != 1 || all[0].ID() != "2026-11-01T12:00:00Z.failed" {
		t.Errorf("told %v, want once", all)
	}
	if s := l.state("a"); s.FailedSince != since || s.State != Failing || s.Error != "still no answer" {
		t.Errorf("state %+v", s)
	}
}

// Where everything goes back and forth before it can be told, the order still holds.
func TestTellingIsBounded(t *testing.T) {
	t.Parallel()
	h := newHealth(State{})
	for range 50 {
		h.failed(errors.New("x"), time.Time{})
		h.ok(time.Time{})
	}
	h.failed(errors.New("x"), time.Time{})
	s, _ := h.take()
	if n := len(s.Telling); n > maxTelling || n%2 != 1 {
		t.Errorf("%d wait to be told", n)
	}
	for i, what := range s.Telling {
		if what.Recovered != (i%2 == 1) {
			t.Errorf("%d: %+v", i, what)
		}
	}
}

// A paused source does not run, says so, and goes on when it is resumed. Neither does
// one that its content turns off.
func TestPause(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := t.Context()
	let := make(chan struct{}, 10)
	if _, err := control.Set(ctx, l.bus, control.Pause{Kind: control.Source, Name: "a", By: "ann", Reason: "too loud"}); err != nil {
		t.Fatal(err)
	}
	all := one(counter(let))
	s, _ := l.start(all)
	l.eventually("it is paused", func() bool { return l.state("a").State == Paused })
	if s := l.state("a"); s.PausedBy != "ann" || s.Reason != "too loud" {
		t.Errorf("state %+v", s)
	}
	let <- struct{}{}
	time.Sleep(50 * time.Millisecond)
	if len(let) != 1 {
		t.Error("it runs though it is paused")
	}
	if _, err := control.Resume(ctx, l.bus, control.Source, "a", "bob", false); err != nil {
		t.Fatal(err)
	}
	l.eventually("it works", func() bool { s := l.state("a"); return s.State == OK && s.Events == 1 })
	if s := l.state("a"); s.PausedBy != "" || s.Reason != "" {
		t.Errorf("state %+v", s)
	}
	if _, err := control.Set(ctx, l.bus, control.Pause{Kind: control.Source, Name: "a", By: "bob"}); err != nil {
		t.Fatal(err)
	}
	l.eventually("it is paused again", func() bool { s := l.state("a"); return s.State == Paused && s.PausedBy == "bob" })
	off := one(counter(let))
	e := off.byName["a"]
	e.enabled = false
	off.byName["a"] = e
	s.Use(off)
	l.eventually("it is off", func() bool { s := l.state("a"); return s.State == Off && s.PausedBy == "" })
}

// poller looks when it is told to, and brings what is to be found then.
func poller(found func() []string, fail *atomic.Bool) run {
	return func(ctx context.Context, f source.Feed) error {
		for {
			for _, id := range found() {
				if err := f.Publish(ctx, happened(id)); err != nil {
					return err
				}
			}
			next := f.Now().Add(time.Hour)
			if fail != nil && fail.Load() {
				f.Failed(errors.New("nobody is there"), next)
			} else {
				f.OK(next)
			}
			if _, err := f.Wait(ctx, next); err != nil {
				return err
			}
		}
	}
}

// Somebody who asks gets a look, and what came of it; also who asked while nobody
// ran, and for a source that is in a pause after a failure.
func TestPoll(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var mu sync.Mutex
	var ids []string
	var fail atomic.Bool
	found := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(ids)
	}
	s, stop := l.start(one(poller(found, &fail)))
	s.first, s.most = time.Hour, time.Hour
	l.eventually("it waits for its time", func() bool { return l.state("a").State == OK })
	look := func(want ...string) State {
		t.Helper()
		asked, err := Ask(ctx, l.bus, "a", "ann")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Looked(ctx, l.bus, "a", asked)
		if err != nil {
			t.Fatal(err)
		}
		var brought []string
		for _, e := range got.Look.Found {
			brought = append(brought, e.ID)
		}
		if diff := cmp.Diff(want, brought); diff != "" || got.Look.Asked != asked || got.Look.Done.Before(got.Look.Begun) {
			t.Errorf("look %+v\n%s", got.Look, diff)
		}
		return got
	}
	if got := look(); got.Look.Error != "" {
		t.Errorf("look %+v", got.Look)
	}
	mu.Lock()
	for i := range maxFound + 3 {
		ids = append(ids, fmt.Sprintf("e%02d", i))
	}
	mu.Unlock()
	if got := look(ids[:maxFound]...); got.Look.More != 3 {
		t.Errorf("look %+v", got.Look)
	}
	fail.Store(true)
	if got := look(); got.Look.Error != "nobody is there" || got.State != Failing {
		t.Errorf("look %+v", got.Look)
	}
	stop()
	asked, err := Ask(ctx, l.bus, "a", "ann")
	if err != nil {
		t.Fatal(err)
	}
	fail.Store(false)
	_, stop = l.start(one(poller(found, &fail)))
	if got, err := Looked(ctx, l.bus, "a", asked); err != nil || got.State != OK {
		t.Errorf("asked while nobody ran: %+v, %v", got, err)
	}
	stop()

	var runs atomic.Int32
	s = l.supervisor(l.bus)
	s.first, s.most = time.Hour, time.Hour
	s.Use(one(func(ctx context.Context, f source.Feed) error {
		if runs.Add(1) == 1 {
			return errors.New("not yet")
		}
		f.OK(time.Time{})
		<-ctx.Done()
		return nil
	}))
	l.running(s.Run)
	l.eventually("it is in its pause", func() bool { return l.state("a").State == Failing })
	if got := look(); got.State != OK || runs.Load() != 2 {
		t.Errorf("state %+v after %d runs", got, runs.Load())
	}
	ended, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := Looked(ended, l.bus, "b", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what is not there has looked: %v", err)
	}
}

// An asking outlasts a change of what runs.
func TestPollLater(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	none := func() []string { return nil }
	s, _ := l.start(those(map[string]run{"b": poller(none, nil)}, ""))
	askedA, err := Ask(ctx, l.bus, "a", "ann")
	if err != nil {
		t.Fatal(err)
	}
	askedB, err := Ask(ctx, l.bus, "b", "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Looked(ctx, l.bus, "b", askedB); err != nil { // so the other is known too
		t.Fatal(err)
	}
	s.Use(those(map[string]run{"a": poller(none, nil)}, ""))
	if _, err := Looked(ctx, l.bus, "a", askedA); err != nil {
		t.Error(err)
	}
}

// New content stops and starts what has changed, and leaves alone what has not.
func TestUse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var said notes
	named := func(what string) run {
		return func(ctx context.Context, f source.Feed) error {
			said.add("+" + f.Name() + what)
			f.OK(time.Time{})
			<-ctx.Done()
			said.add("-" + f.Name() + what)
			return nil
		}
	}
	content := func(of map[string]string) *Sources {
		s := &Sources{byName: make(map[string]entry)}
		for name, what := range of {
			s.byName[name] = entry{kind: Kind{Key: "test"}, source: named(what), enabled: true, digest: what}
		}
		return s
	}
	s, stop := l.start(content(map[string]string{"a": "1", "b": "1", "c": "1"}))
	ran := func(want ...string) {
		t.Helper()
		l.eventually(strings.Join(want, " "), func() bool {
			got := said.got()
			slices.Sort(got)
			slices.Sort(want)
			return slices.Equal(got, want)
		})
	}
	ran("+a1", "+b1", "+c1")
	s.Use(content(map[string]string{"a": "1", "b": "2", "d": "1"}))
	ran("+a1", "+b1", "+c1", "-b1", "+b2", "-c1", "+d1")
	got := said.got()
	if slices.Index(got, "-b1") > slices.Index(got, "+b2") {
		t.Errorf("%v: two at once", got)
	}
	l.eventually("c is gone", func() bool { return l.state("c").Name == "" })
	s.Use(content(map[string]string{"a": "1", "b": "2", "d": "1"}))
	s.Use(content(map[string]string{"a": "1", "b": "2", "d": "1"}))
	stop()
	ran("+a1", "+b1", "+c1", "-b1", "+b2", "-c1", "+d1", "-a1", "-b2", "-d1")
}

// On a bus that several share one runs the sources, with its own content, and the next
// goes on with what the first saved.
func TestLease(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	second := bustest.Connect(t, l.server, busserver.RoleBus, "second")
	let := make(chan struct{}, 10)
	var running atomic.Int32
	alone := func(ctx context.Context, f source.Feed) error {
		if n := running.Add(1); n > 1 {
			t.Errorf("%d run at once", n)
		}
		defer running.Add(-1)
		return counter(let)(ctx, f)
	}
	hold := func(b *bus.Bus, by string) (stop func()) {
		s := l.supervisor(b)
		s.By = by
		s.Use(one(alone))
		return l.running(func(ctx context.Context) error { return b.Hold(ctx, "sources", s.Run) })
	}
	stop := hold(l.bus, "first")
	let <- struct{}{}
	l.eventually("the first works", func() bool { s := l.state("a"); return s.Events == 1 && s.By == "first" })
	hold(second, "second")
	let <- struct{}{}
	l.eventually("it goes on", func() bool { return l.state("a").Events == 2 })
	stop()
	let <- struct{}{}
	l.eventually("the second works", func() bool { s := l.state("a"); return s.Events == 3 && s.By == "second" })
	if diff := cmp.Diff([]string{"n1", "n2", "n3"}, l.ids()); diff != "" {
		t.Error(diff)
	}
}

// Who was frozen while another jet-bus took over, and goes on for a moment, does no harm:
// how the source fares is told by the other alone.
func TestFrozen(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	second := bustest.Connect(t, l.server, busserver.RoleBus, "second")
	run := func(b *bus.Bus, by string, steady time.Duration) (do chan func(source.Feed), stop func()) {
		do = make(chan func(source.Feed))
		s := l.supervisor(b)
		s.By, s.steady = by, steady
		s.Use(one(func(ctx context.Context, f source.Feed) error {
			f.OK(time.Time{})
			for {
				select {
				case <-ctx.Done():
					return nil
				case what := <-do:
					what(f)
				}
			}
		}))
		return do, l.running(s.Run)
	}
	frozen, stop := run(l.bus, "first", time.Hour)
	l.eventually("the first runs", func() bool { s := l.state("a"); return s.By == "first" && s.State == OK })
	other, _ := run(second, "second", 50*time.Millisecond)
	l.eventually("the second runs", func() bool { s := l.state("a"); return s.By == "second" && s.State == OK })

	frozen <- func(f source.Feed) { f.Failed(errors.New("it has been long"), time.Time{}) }
	frozen <- func(f source.Feed) { // some writes later
		time.Sleep(200 * time.Millisecond)
		f.Failed(errors.New("it has been longer"), time.Time{})
	}
	stop()
	if s := l.state("a"); s.By != "second" || s.State != OK || s.Error != "" {
		t.Errorf("what the frozen one says counts: %+v", s)
	}
	if ids := l.ids(); len(ids) != 0 {
		t.Errorf("told: %v", ids)
	}
	other <- func(f source.Feed) {
		if err := f.Publish(t.Context(), happened("n1")); err != nil {
			t.Error(err)
		}
	}
	l.eventually("the second goes on", func() bool { s := l.state("a"); return s.By == "second" && s.Events == 1 })

	// Who goes on for long is right after all.
	if _, err := put(t.Context(), l.bus, keyState, "a", State{Name: "a", Kind: "test", By: "first"}); err != nil {
		t.Fatal(err)
	}
	l.eventually("the second is heard", func() bool {
		other <- func(f source.Feed) { f.OK(time.Time{}) }
		return l.state("a").By == "second"
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	pace := New(nil, nil).timing
	for attempts, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1 << 30: 5 * time.Minute,
	} {
		for range 20 {
			if got := pace.backoff(attempts); got < want*4/5 || got > want*6/5 {
				t.Errorf("after %d: %s, want about %s", attempts, got, want)
			}
		}
	}
}
