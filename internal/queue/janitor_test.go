package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// site is a bus with little room.
type site struct {
	*testing.T
	bus   *bus.Bus
	queue *Queue
	log   *bytes.Buffer
}

func newSite(t *testing.T, runs int64) *site {
	t.Helper()
	_, b := bustest.Start(t, bustest.WithLimits(bus.Limits{RunsMaxBytes: runs}))
	s := &site{T: t, bus: b, log: &bytes.Buffer{}}
	s.queue = New(b, slog.New(slog.NewTextHandler(s.log, nil)))
	return s
}

// insist stores a message, however long there is no room for it.
func (s *site) insist(msg *nats.Msg) uint64 {
	s.Helper()
	until := time.Now().Add(20 * time.Second)
	for {
		seq, _, err := s.bus.Publish(s.Context(), msg)
		if err == nil {
			return seq
		}
		if !errors.Is(err, bus.ErrFull) || time.Now().After(until) {
			s.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // a poll with a deadline
	}
}

func (s *site) put(j Job, rev uint64) Record {
	s.Helper()
	msg, err := stateMsg(j, rev)
	if err != nil {
		s.Fatal(err)
	}
	rev = s.insist(msg)
	if j.First == 0 {
		j.First = rev
	}
	return Record{Job: j, Rev: rev}
}

// begin lives a job up to its results, as the bus and a runner would.
func (s *site) begin(j Job, results int) Record {
	s.Helper()
	r := s.put(created(j, time.Now()), 0)
	s.insist(&nats.Msg{Subject: bus.HostLockSubject("h"), Data: []byte(`{"job":"` + j.ID + `"}`)})
	next, err := claimed(r.Job, "r", 1, []string{"h"}, time.Now())
	if err != nil {
		s.Fatal(err)
	}
	r = s.put(next, r.Rev)
	for i := range results {
		res, err := newResult(r.Job, events.TaskFinished{Seq: i + 1, Attempt: 1, Host: "h", Message: strings.Repeat("x", 2000)}, nil)
		if err != nil {
			s.Fatal(err)
		}
		s.insist(res.msg)
	}
	return r
}

func (s *site) finish(r Record) {
	s.Helper()
	next, err := finished(r.Job, Succeeded, "", time.Now())
	if err != nil {
		s.Fatal(err)
	}
	s.put(next, r.Rev)
}

func (s *site) percent(j *Janitor, stream string) uint64 {
	s.Helper()
	n, err := j.fill(s.Context(), stream)
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// Many times more than fits goes through; what has to stay is there at the end, and
// the event of a job that is over makes no second one.
func TestJanitorKeepsJobsGoing(t *testing.T) {
	t.Parallel()
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprintf("old open jobs %v", pinned), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1<<20)
			open := map[string]State{}
			if pinned {
				open["waiting"], open["running"] = Unapproved, Running
				s.put(created(Job{ID: "waiting", Approval: &Approval{}}, time.Now()), 0)
				s.begin(Job{ID: "running"}, 2)
			}
			j := &Janitor{Queue: s.queue, Every: 5 * time.Millisecond}
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := j.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			const jobs, each = 300, 5
			name := func(i int) string { return fmt.Sprintf("job%03d", i) }
			for i := range jobs {
				job := Job{ID: name(i), Playbook: "p"}
				if i%10 == 3 { // nothing is on EVENTS: any event is still to come
					job.Event = &EventRef{Source: "/s", ID: fmt.Sprint(i), Seq: uint64(i)}
				}
				s.finish(s.begin(job, each))
			}
			last := s.begin(Job{ID: "last"}, each)
			open["last"] = Running
			stop()
			wg.Wait()
			if _, err := j.sweepRuns(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := s.percent(j, bus.StreamRuns); n >= sweepFrom {
				t.Errorf("%d %% full\n%s", n, s.log)
			}
			for id, want := range open {
				rec, err := s.queue.Get(t.Context(), id)
				if err != nil || rec.State != want {
					t.Errorf("job %s is %s, %v", id, rec.State, err)
				}
			}
			results := 0
			for u, err := range s.queue.History(t.Context(), "last") {
				if err != nil {
					t.Fatal(err)
				}
				if u.Result != nil {
					results++
				}
			}
			lock, err := s.bus.Last(t.Context(), bus.StreamRuns, bus.HostLockSubject("h"))
			if err != nil || results != each || !bytes.Contains(lock.Data, []byte("last")) {
				t.Errorf("the job under way has %d of its results; the lock is of %s, %v", results, lock.Data, err)
			}
			s.finish(last)
			gone := 0
			for i := range jobs {
				rec, err := s.queue.Get(t.Context(), name(i))
				switch {
				case i%10 != 3 && errors.Is(err, ErrNoJob):
					gone++
				case err != nil || rec.State != Succeeded:
					t.Errorf("job %d is %s, %v", i, rec.State, err)
				case i%10 == 3:
					again, fresh, err := s.queue.Submit(t.Context(), Job{ID: name(i), Playbook: "p"})
					if err != nil || fresh || again.State != Succeeded {
						t.Errorf("event %d made another job: %v, %s, %v", i, fresh, again.State, err)
					}
				}
			}
			if gone == 0 || gone == jobs*9/10 {
				t.Errorf("%d old jobs are gone", gone)
			}
			if !strings.Contains(s.log.String(), "made room among the job records") {
				t.Errorf("log: %s", s.log)
			}
		})
	}
}

// Where nothing can go the janitor says so, and removes nothing.
func TestJanitorComplains(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1<<20)
	j := &Janitor{Queue: s.queue}
	n := 0
	for ; s.percent(j, bus.StreamRuns) < alarmFrom; n++ {
		s.begin(Job{ID: fmt.Sprint("open", n)}, 20)
	}
	enough, err := j.sweepRuns(t.Context())
	if err != nil || enough || !strings.Contains(s.log.String(), "level=ERROR msg=\"the job records fill their store") {
		t.Errorf("enough %v, %v\n%s", enough, err, s.log)
	}
	list, err := s.queue.List(t.Context(), ListOptions{})
	if err != nil || len(list) != n || s.percent(j, bus.StreamRuns) < alarmFrom {
		t.Errorf("%d of %d jobs, %v", len(list), n, err)
	}
}

// Of outputs the oldest go.
func TestJanitorOfOutputs(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4<<20)
	j := &Janitor{Queue: s.queue}
	stored := 0
	for ; s.percent(j, bus.ObjectStream(bus.ObjectsOutputs)) < sweepFrom; stored++ {
		if err := s.bus.PutObject(t.Context(), bus.ObjectsOutputs, fmt.Sprintf("o%02d", stored), make([]byte, 60_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.sweepOutputs(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := s.bus.Objects(t.Context(), bus.ObjectsOutputs)
	if err != nil || len(left) == 0 || len(left) == stored || s.percent(j, bus.ObjectStream(bus.ObjectsOutputs)) >= sweepTo {
		t.Fatalf("%d of %d left, %v", len(left), stored, err)
	}
	if want := fmt.Sprintf("o%02d", stored-len(left)); left[0].Name != want {
		t.Errorf("the oldest left is %s, want %s", left[0].Name, want)
	}
}

// Content goes when it is old and nothing refers to it.
func TestJanitorOfBundles(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1<<20)
	ctx := t.Context()
	for _, name := range []string{"unused", "job", "active", "before"} {
		if err := s.bus.PutObject(ctx, bus.ObjectsBundles, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := s.bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before", "active"} {
		if _, err := kv.Put(ctx, bus.KeyRuleSet, []byte(`{"rule_set":"x","bundle":"`+name+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	s.finish(s.begin(Job{ID: "done", Bundle: "job"}, 0))
	names := func() []string {
		t.Helper()
		list, err := s.bus.Objects(ctx, bus.ObjectsBundles)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, o := range list {
			all = append(all, o.Name)
		}
		return all
	}
	j := &Janitor{Queue: s.queue}
	if err := j.sweepBundles(ctx, time.Now().Add(-time.Minute)); err != nil || len(names()) != 4 {
		t.Fatalf("of what is new, %v are left, %v", names(), err)
	}
	if err := j.sweepBundles(ctx, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"job", "active", "before"}) {
		t.Errorf("left: %v", got)
	}
}
