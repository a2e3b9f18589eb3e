package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/intake"
)

const (
	sourcesFile = `
sources:
  ticks:
    schedule: {every: 1s, missed: all}
  beat:
    schedule: {every: 2s, missed: all, type: com.example.beat}
  drop:
    files: {directory: "{drop}", match: "*.txt", every: 1s, settle: 1s}
  orders:
    nats: {server: "{other}", subject: "orders.>", stream: ORDERS, type: com.example.order, content: json}
  lines:
    exec: {command: ["{lines}"], stop_after: 1s}
`
	subscriptionsFile = `
subscriptions:
  all:
    url: "{sink}"
    parallel: 8
`
	// Such a rule is about the jobs of another.
	afterRule = `
rules:
  - name: after
    on: dev.jet-bus.job.succeeded.v1
    condition: event.data.rule == "tenth"
    run: {playbook: playbooks/tenth.yml, limit: "${{ event.data.hosts[0] }}", vars: {n: "${{ event.data.job }}"}}
`
	// The program goes on after the last event that was stored.
	linesScript = `#!/bin/sh
n=${JET_LAST_EVENT_ID#line-}
n=${n:-0}
while :; do
	n=$((n+1))
	printf '{"specversion":"1.0","id":"line-%d","source":"/lines","type":"com.example.line"}\n' $n || exit
	sleep 0.25
done
`
)

// neighbours are what three jet-bus take events from, and a sink that they hand them to.
type neighbours struct {
	dir  string // in which files are dropped
	js   jetstream.JetStream
	url  string // of the other server
	sink *httptest.Server

	mu      sync.Mutex
	dropped []string
	acked   []string
	came    map[string]bool
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	o := &neighbours{dir: t.TempDir(), came: map[string]bool{}}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir()})
	must(t, err)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the other server does not start")
	}
	o.url = fmt.Sprintf("nats://127.0.0.1:%d", s.Addr().(*net.TCPAddr).Port)
	conn, err := nats.Connect(o.url)
	must(t, err)
	t.Cleanup(conn.Close)
	o.js, err = jetstream.New(conn)
	must(t, err)
	_, err = o.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	must(t, err)
	o.sink = httptest.NewServer(o)
	t.Cleanup(o.sink.Close)
	return o
}

// ServeHTTP takes an event.
func (o *neighbours) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct{ Source, ID string }
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.came[e.Source+" "+e.ID] = true
	w.WriteHeader(http.StatusNoContent)
}

// send drops a file and publishes a message every so often until ctx ends.
func (o *neighbours) send(ctx context.Context, t *testing.T) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		name := fmt.Sprintf("f%04d.txt", n)
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(name), 0o600); err != nil {
			t.Error(err)
		}
		ack, err := o.js.Publish(context.WithoutCancel(ctx), "orders.new", fmt.Appendf(nil, `{"n": %d}`, n))
		if err != nil {
			t.Error(err)
			return
		}
		o.mu.Lock()
		o.dropped, o.acked = append(o.dropped, name), append(o.acked, fmt.Sprint(ack.Sequence))
		o.mu.Unlock()
	}
}

// addSources adds what the neighbours are to the content.
func (s *site) addSources(t *testing.T, o *neighbours) {
	t.Helper()
	lines := filepath.Join(s.dir, "lines")
	must(t, os.WriteFile(lines, []byte(linesScript), 0o700))
	fill := strings.NewReplacer("{drop}", o.dir, "{other}", o.url, "{lines}", lines, "{sink}", o.sink.URL)
	for name, text := range map[string]string{
		"sources.yml": fill.Replace(sourcesFile), "subscriptions.yml": fill.Replace(subscriptionsFile), "rules/after.yml": afterRule,
	} {
		must(t, os.WriteFile(filepath.Join(s.content, name), []byte(text), 0o600))
	}
}

// TestSources kills and freezes whoever runs the sources, and whoever tells of jobs,
// while events come and go.
func TestSources(t *testing.T) {
	needed(t)
	s := newSite(t)
	o := newNeighbours(t)
	s.addSources(t, o)
	for _, name := range []string{"bus1", "bus2", "bus3"} {
		s.startBus(t, name, "--allow-exec")
	}
	s.admin = s.connect(t, "admin")
	within(t, 3*time.Minute, "all jet-bus", func(context.Context) bool {
		return s.http("bus1") != "" && s.http("bus2") != "" && s.http("bus3") != ""
	})
	s.startRunner(t, "r1")
	s.startRunner(t, "r2")
	s.runBy(t, "")
	s.whole(t)

	l := newLoad(s)
	loading, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { o.send(loading, t) })
	wg.Go(func() { l.post(loading, t, 250*time.Millisecond) })

	began := time.Now()
	step := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	holder := s.holding(t, "sources", "")
	step("killing " + holder.name + ", which runs the sources")
	holder.kill(t)
	next := s.runBy(t, holder.name)
	step(next.name + " runs them")
	holder.again(t)
	s.brings(t)

	step("freezing " + next.name)
	next.signal(t, syscall.SIGSTOP)
	after := s.runBy(t, next.name)
	step(after.name + " runs them")
	s.brings(t)
	next.signal(t, syscall.SIGCONT)
	step("it goes on")
	s.brings(t)
	s.brings(t)
	if now := s.runBy(t, next.name); now != after {
		t.Errorf("%s was frozen, and since it goes on %s runs the sources, not %s", next.name, now.name, after.name)
	}

	holder = s.holding(t, "job-events", "")
	step("killing " + holder.name + ", which tells of jobs")
	holder.kill(t)
	s.holding(t, "job-events", holder.name)
	holder.again(t)
	holder = s.holding(t, "job-events", "")
	step("freezing " + holder.name + ", which tells of jobs")
	holder.signal(t, syscall.SIGSTOP)
	s.holding(t, "job-events", holder.name)
	holder.signal(t, syscall.SIGCONT)

	leader := s.leader(t, "KV_"+bus.BucketSources)
	step("killing the server " + leader.name + ", which leads what sources remember")
	leader.kill(t)
	s.brings(t)
	leader.again(t)
	s.whole(t)

	holder = s.holding(t, "sources", "")
	step("stopping " + holder.name)
	holder.stop(t)
	s.runBy(t, holder.name)
	holder.again(t)
	s.webhooks(t, "bus1", "bus2", "bus3")
	stop()
	wg.Wait()
	step("no more events")
	s.checkSources(t, l, o)
	for _, p := range slices.Concat(s.buses, s.runners) {
		if !p.running() {
			t.Errorf("%s has ended by itself:\n%s", p.name, p.tail(t))
			continue
		}
		p.stop(t)
	}
	step("all stopped")
}

// holding waits until another jet-bus than that holds a singleton, and returns which.
func (s *site) holding(t *testing.T, singleton, than string) *process {
	t.Helper()
	var held *process
	eventually(t, "another jet-bus than "+than+" to hold "+singleton, func(context.Context) bool {
		name := s.holder(t, singleton)
		i := slices.IndexFunc(s.buses, func(p *process) bool { return p.name == name })
		if i < 0 || name == than {
			return false
		}
		held = s.buses[i]
		return true
	})
	return held
}

// runBy waits until another jet-bus than that runs all sources, and says so.
func (s *site) runBy(t *testing.T, than string) *process {
	t.Helper()
	var p *process
	var all []intake.State
	defer func() {
		if t.Failed() {
			t.Logf("sources: %+v", all)
		}
	}()
	eventually(t, "another jet-bus than "+than+" to run all sources", func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, bounded)
		defer cancel()
		p = s.holding(t, "sources", than)
		now, err := intake.States(ctx, s.admin)
		if err != nil {
			return false
		}
		all = now
		n := 0
		for _, st := range all {
			// A program is well once it has run for a while.
			if !st.Webhook() && strings.HasSuffix(st.By, p.name) && (st.State == intake.OK || st.Kind == "exec") {
				n++
			}
		}
		return n == 5
	})
	return p
}

// brings waits until every source has brought an event that it had not when asked.
func (s *site) brings(t *testing.T) {
	t.Helper()
	last := map[string]string{}
	eventually(t, "every source to bring something", func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, bounded)
		defer cancel()
		all, err := intake.States(ctx, s.admin)
		if err != nil {
			return false
		}
		n := 0
		for _, st := range all {
			if st.Webhook() || st.Event == nil {
				continue
			}
			if last[st.Name] == "" {
				last[st.Name] = st.Event.ID
			}
			if st.Event.ID != last[st.Name] {
				n++
			}
		}
		return n == 5
	})
}

// webhooks waits until each jet-bus tells how its webhook fares, where people look.
func (s *site) webhooks(t *testing.T, names ...string) {
	t.Helper()
	var out string
	eventually(t, "every jet-bus to tell of its webhooks", func(context.Context) bool {
		out = s.run(t, "jet", "--bus", filepath.Join(s.dir, "cluster"), "sources")
		return !slices.ContainsFunc(names, func(name string) bool {
			return !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
				f := strings.Fields(line)
				return len(f) > 3 && f[0] == "hook-ci" && strings.HasSuffix(f[2], name)
			})
		})
	})
	if n := strings.Count(out, "hook-ci"); n != len(names) || !strings.Contains(out, "RUNS ON") {
		t.Errorf("jet sources:\n%s", out)
	}
}
