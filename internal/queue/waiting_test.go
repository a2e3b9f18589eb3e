package queue

import (
	"context"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// paddedID is an id of one letter.
func paddedID(n byte) string {
	id := make([]byte, 32)
	for i := range id {
		id[i] = n
	}
	return string(id)
}

func TestWaits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	job := func(n byte, s State, first uint64, change func(*Record)) Record {
		r := Record{Job: Job{ID: paddedID(n), State: s, First: first, Rule: "deploy"}, At: now.Add(-time.Minute)}
		if change != nil {
			change(&r)
		}
		return r
	}
	on := func(hosts ...string) func(*Record) { return func(r *Record) { r.Hosts = hosts } }
	key := func(k string) func(*Record) {
		return func(r *Record) { r.Concurrency = &Concurrency{Key: k} }
	}
	free := []RunnerInfo{{Name: "r", Slots: 2, Busy: 1}}
	for _, tt := range []struct {
		name    string
		r       Record
		others  []Record
		runners []RunnerInfo
		paused  map[string]string
		want    string
		unsure  bool
	}{
		{name: "approval", r: job('a', Unapproved, 1, nil), want: "an approval"},
		{
			name: "approval that expires",
			r:    job('a', Unapproved, 1, func(r *Record) { r.Approval = &Approval{Expires: time.Hour} }),
			want: "an approval: until 2026-03-01 12:59:00Z",
		},
		{
			name: "delay",
			r:    job('a', Pending, 1, func(r *Record) { r.Attempt, r.Delay = 1, 2*time.Minute }),
			want: "attempt 2: at 2026-03-01 12:01:00Z",
		},
		{
			name: "delay that is over", runners: free,
			r:    job('a', Pending, 1, func(r *Record) { r.Attempt, r.Delay = 1, 30*time.Second }),
			want: "a runner to take it", unsure: true,
		},
		{name: "no runner", r: job('a', Pending, 1, nil), want: "a runner: none is alive"},
		{
			name: "no runner but one for a run by hand", r: job('a', Pending, 1, nil),
			runners: []RunnerInfo{{Name: "alice@desk", Slots: 1, Labels: HandNeeds("b")}},
			want:    "a runner: none is alive",
		},
		{
			name: "no runner with the labels", runners: free,
			r:    job('a', Pending, 1, func(r *Record) { r.Needs = map[string]string{"site": "fra", "arch": "arm"} }),
			want: "a runner: none that is alive has the label arch=arm and site=fra",
		},
		{
			name: "busy runners", runners: []RunnerInfo{{Slots: 1, Busy: 1}},
			r: job('a', Pending, 1, nil), want: "a runner: all that could run it are busy", unsure: true,
		},
		{
			name: "host held", runners: free, r: job('a', Pending, 1, on("web1", "web2")),
			others: []Record{job('b', Running, 2, on("web2")), job('c', Succeeded, 1, on("web1"))},
			want:   "web2: held by job bbbbbbbbbbbb of rule deploy",
		},
		{
			name: "host held by a run by hand", runners: free, r: job('a', Pending, 1, on("web1")),
			others: []Record{job('b', Cancelling, 2, func(r *Record) { r.Hosts, r.Rule, r.StartedBy = []string{"web1"}, "", "alice@desk" })},
			want:   "web1: held by job bbbbbbbbbbbb of alice@desk",
		},
		{
			name: "host kept after a loss", runners: free, r: job('a', Pending, 1, on("web1")),
			others: []Record{job('b', Pending, 2, func(r *Record) { r.Hosts, r.Attempt, r.Losses = []string{"web1"}, 1, 1 })},
			want:   "web1: held by job bbbbbbbbbbbb of rule deploy, which was interrupted and waits to run again",
		},
		{
			name: "key kept after a loss", runners: free, r: job('a', Pending, 5, key("db")),
			others: []Record{job('b', Pending, 4, func(r *Record) { r.Concurrency, r.Attempt = &Concurrency{Key: "db"}, 1 })},
			want:   "the key db: held by job bbbbbbbbbbbb of rule deploy, which was interrupted and waits to run again",
		},
		{
			name: "keeps its host after a loss", runners: free,
			r: job('a', Pending, 1, func(r *Record) {
				r.Hosts, r.Attempt, r.Losses, r.Needs = []string{"web1"}, 1, 1, map[string]string{"site": "fra"}
			}),
			want: "a runner: none that is alive has the label site=fra; it was interrupted, and keeps its hosts until it runs again",
		},
		{
			name: "host let go before a repetition", runners: free, r: job('a', Pending, 1, on("web1")),
			others: []Record{job('b', Pending, 2, func(r *Record) { r.Hosts, r.Attempt, r.Delay = []string{"web1"}, 1, time.Hour })},
			want:   "a runner to take it", unsure: true,
		},
		{
			name: "host shared", runners: free, r: job('a', Pending, 1, func(r *Record) { r.Hosts, r.SharesHosts = []string{"web1"}, true }),
			others: []Record{job('b', Running, 2, on("web1"))}, want: "a runner to take it", unsure: true,
		},
		{
			name: "behind another", runners: free, r: job('a', Pending, 5, on("web1")),
			others: []Record{job('c', Pending, 6, on("web1")), job('b', Pending, 4, on("web1")), job('d', Pending, 3, on("web2"))},
			want:   "web1: behind job bbbbbbbbbbbb of rule deploy",
		},
		{
			name: "behind a more important one", runners: free, r: job('a', Pending, 5, on("web1")),
			others: []Record{
				job('b', Pending, 4, on("web1")),
				job('c', Pending, 6, func(r *Record) { r.Hosts, r.Priority = []string{"web1"}, 1 }),
			},
			want: "web1: behind job cccccccccccc of rule deploy",
		},
		{
			name: "first of all", runners: free, r: job('a', Pending, 1, on("web1")),
			others: []Record{job('a', Pending, 1, on("web1")), job('b', Pending, 4, on("web1"))},
			want:   "a runner to take it", unsure: true,
		},
		{
			name: "key held", runners: free, r: job('a', Pending, 5, key("db")),
			others: []Record{job('b', Running, 4, key("db")), job('c', Running, 3, key("other"))},
			want:   "the key db: held by job bbbbbbbbbbbb of rule deploy",
		},
		{
			name: "in line for a key", runners: free, r: job('a', Pending, 5, key("db")),
			others: []Record{job('b', Pending, 4, key("db")), job('c', Pending, 6, key("db"))},
			want:   "the key db: behind job bbbbbbbbbbbb of rule deploy",
		},
		{
			name: "in line for a key behind one that is to be repeated", runners: free, r: job('a', Pending, 5, key("db")),
			others: []Record{job('b', Pending, 4, func(r *Record) {
				r.Concurrency, r.Attempt, r.Delay = &Concurrency{Key: "db"}, 1, time.Hour
			})},
			want: "the key db: behind job bbbbbbbbbbbb of rule deploy",
		},
		{
			name: "not behind one that has to wait for its key", runners: free, r: job('a', Pending, 5, on("web1")),
			others: []Record{
				job('b', Running, 1, key("db")),
				job('c', Pending, 4, func(r *Record) { r.Hosts, r.Concurrency = []string{"web1"}, &Concurrency{Key: "db"} }),
			},
			want: "a runner to take it", unsure: true,
		},
		{
			name: "rule paused", r: job('a', Pending, 5, nil), paused: map[string]string{"rule deploy": "paused by bob"},
			want: "rule deploy: paused by bob",
		},
		{
			name: "queue paused", r: job('a', Pending, 5, nil), paused: map[string]string{"queue default": "paused by bob"},
			want: "queue default: paused by bob",
		},
		{
			name: "not behind one whose rule is paused", runners: free,
			r:      job('a', Pending, 5, func(r *Record) { r.Hosts, r.Rule = []string{"web1"}, "other" }),
			others: []Record{job('b', Pending, 4, on("web1"))}, paused: map[string]string{"rule deploy": "paused by bob"},
			want: "a runner to take it", unsure: true,
		},
	} {
		got, sure := waits(tt.r, newLines(tt.others, tt.paused), tt.runners, now)
		if got != tt.want || sure == tt.unsure {
			t.Errorf("%s: %q (sure: %v), want %q", tt.name, got, sure, tt.want)
		}
	}
}

// TestWaiting asks with a viewer's rights about jobs on a real bus.
func TestWaiting(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	viewer := New(bustest.Connect(t, l.server, busserver.RoleViewer, "who"), nil)
	why := func(r Record) string {
		t.Helper()
		got, err := viewer.Waiting(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	var records []Record
	for _, j := range []Job{
		{Limit: []string{"h"}, Hosts: []string{"h"}, Rule: "first"},
		{Limit: []string{"h"}, Hosts: []string{"h"}},
		{Approval: &Approval{}},
	} {
		records = append(records, l.submit(j))
	}
	if got := why(records[0]); got != "a runner: none is alive" {
		t.Errorf("without a runner: %q", got)
	}
	kv, err := l.bus.JS.KeyValue(t.Context(), bus.BucketControl)
	if err != nil {
		t.Fatal(err)
	}
	pause := `{"kind":"rule","name":"first","by":"bob","since":"2026-03-01T12:00:00Z","reason":"too many"}`
	if _, err := kv.PutString(t.Context(), "rule.first", pause); err != nil {
		t.Fatal(err)
	}
	if got := why(records[0]); got != "rule first: paused since 2026-03-01 12:00:00Z by bob: too many" {
		t.Errorf("of a paused rule: %q", got)
	}
	if err := kv.Delete(t.Context(), "rule.first"); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	r := l.runner("r", nil, func(ctx context.Context, _ *Lease) Outcome {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Outcome{State: Succeeded}
	})
	ctx, cancel := context.WithCancel(t.Context())
	registered := make(chan struct{})
	go func() {
		defer close(registered)
		New(r.bus, nil).Register(ctx, func() RunnerInfo { return RunnerInfo{Name: "r", Slots: 4} })
	}()
	defer func() { cancel(); <-registered }()
	want := "h: held by job " + records[0].ID[:12] + " of rule first"
	holder, waiter := records[0], records[1]
	eventually(t, "one of the jobs to be held up by the other", func() bool {
		first, err := l.queue.Get(t.Context(), records[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		second, err := l.queue.Get(t.Context(), records[1].ID)
		if err != nil {
			t.Fatal(err)
		}
		if second.State == Running { // there is no order yet
			holder, waiter = second, first
			want = "h: held by job " + second.ID[:12]
		} else {
			holder, waiter = first, second
		}
		return holder.State == Running && why(waiter) == want
	})
	if got := why(holder); got != "" {
		t.Errorf("a running job waits for %q", got)
	}
	all, err := viewer.List(t.Context(), ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	whys, err := viewer.WaitingAll(t.Context(), all)
	if err != nil || len(whys) != 2 || whys[waiter.ID] != want || whys[records[2].ID] != "an approval" {
		t.Errorf("all that wait: %v, %v", whys, err)
	}
	close(release)
	for _, r := range records[:2] {
		l.end(r.ID)
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ask() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
