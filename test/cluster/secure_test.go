package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// posting is how many post to jet-bus at once, publishing how many publish through
// one group: so many that it stores in batches what they publish, however busy the
// machine is.
const posting, publishing = 16, 64

// TestSecureCluster has many senders post events to a jet-bus on a cluster with TLS,
// and many more publish them, while the leader of the events is killed. Then it backs the cluster up, makes a
// bus of the backup that is none, and a cluster again of a backup of that.
func TestSecureCluster(t *testing.T) {
	needed(t)
	s := newSecureSite(t)
	s.startBus(t, "bus1")
	s.admin = s.connect(t, "admin")
	within(t, 3*time.Minute, "jet-bus", func(context.Context) bool { return s.http("bus1") != "" })
	s.whole(t)

	l := newLoad(s)
	l.kind = "com.example.many" // for which there is no rule
	began := time.Now()
	step := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	crowd, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: posting}}
	defer client.CloseIdleConnections()
	for range posting {
		wg.Go(func() {
			for crowd.Err() == nil {
				l.deliver(t, client, func() string { return "bus1" })
			}
		})
	}
	group := bus.NewGroup(s.admin, nil)
	for range publishing {
		wg.Go(func() {
			for crowd.Err() == nil {
				e, n := l.event(t)
				_, err := group.PublishEvent(context.WithoutCancel(crowd), bus.ClassExternal, e)
				l.note(e.ID(), n, err)
			}
		})
	}
	more := func(what string) {
		before := l.count()
		eventually(t, what, func(context.Context) bool { return l.count() >= before+3*(posting+publishing) })
	}
	more("events to be accepted")
	leader := s.leader(t, bus.StreamEvents)
	step("killing " + leader.name + ", which leads the events")
	leader.kill(t)
	more("events to be accepted without the leader")
	leader.again(t)
	more("events to be accepted")
	stop()
	wg.Wait()
	must(t, group.Close(t.Context()))
	step("no more events")
	s.storedOnce(t, l)
	s.whole(t)

	// A runner reaches the cluster as well.
	s.startRunner(t, "r1")
	s.tick(t, "tick10")
	s.jobsEnd(t, 2)
	step("the jobs have ended")
	copied := filepath.Join(s.dir, "backup")
	s.run(t, "jet", append(s.trust(), "--bus", filepath.Join(s.dir, "cluster"), "backup", copied)...)
	again := s.restored(t, copied)
	step("the backup is a bus")
	s.reborn(t, again)
	step("the backup is a cluster")
}

// tick publishes an event that makes two jobs.
func (s *site) tick(t *testing.T, id string) {
	t.Helper()
	s.run(t, "jet", append(s.trust(), "--bus", filepath.Join(s.dir, "cluster"), "publish", "--type", "com.example.tick", "--source", source,
		"--id", id, "--data", fmt.Sprintf(`{"n": 10, "host": "h1", "notes": %q}`, filepath.Join(s.dir, "notes")))...)
}

// jobsEnd waits until there are n jobs, which have succeeded.
func (s *site) jobsEnd(t *testing.T, n int) {
	t.Helper()
	q := queue.New(s.admin, nil)
	eventually(t, "the jobs to end", func(ctx context.Context) bool {
		all, err := q.List(ctx, queue.ListOptions{})
		return err == nil && len(all) == n && !slices.ContainsFunc(all, func(r queue.Record) bool { return r.State != queue.Succeeded })
	})
}

// storedOnce looks whether each event that was accepted is stored once.
func (s *site) storedOnce(t *testing.T, l *load) {
	t.Helper()
	times, batched := map[string]int{}, 0
	for _, m := range stored(t, s.admin, bus.StreamEvents, bus.AllEvents) {
		e, err := bus.DecodeEvent(m.Header, m.Data)
		must(t, err)
		times[e.ID()]++
		if m.Header.Get("Nats-Batch-Id") != "" {
			batched++
		}
	}
	if batched == 0 {
		t.Error("no event was stored in a batch")
	}
	for id := range l.accepted {
		if times[id] != 1 {
			t.Errorf("event %s was accepted and is stored %d times", id, times[id])
		}
	}
	t.Logf("%d events accepted, %d refused; %d are stored in batches", len(l.accepted), len(l.refused), batched)
}

// restored makes a data directory of a backup of the cluster, looks at it through a
// jet-bus that embeds its bus, and returns a backup of that.
func (s *site) restored(t *testing.T, copied string) string {
	t.Helper()
	data := filepath.Join(s.dir, "restored")
	if out := s.run(t, "jet-bus", "restore", copied, "--data", data); !strings.Contains(out, "No keys were in the backup") {
		t.Errorf("restore: %s", out)
	}
	p := start(t, s.env(), "restored", "jet-bus", "--content", s.content, "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	var a access.Address
	eventually(t, "the restored bus", func(context.Context) bool {
		var err error
		a, err = access.ReadAddress(data)
		return err == nil
	})
	admin := connect(t, bus.Options{URL: a.Bus, CredsFile: filepath.Join(data, "creds", "admin.creds")})
	if diff := cmp.Diff(contents(t, s.admin), contents(t, admin)); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
	if out := s.run(t, "jet", "--bus", data, "why", "tick10"); strings.Count(out, "fired; job ") != 2 {
		t.Errorf("jet why: %s", out)
	}
	again := copied + "-again"
	s.run(t, "jet", "--bus", data, "backup", again)
	p.stop(t)
	return again
}

// reborn empties the stores of the servers, and restores a backup onto them.
func (s *site) reborn(t *testing.T, copied string) {
	t.Helper()
	restore := append(s.trust(), "restore", copied, "--nats", s.url, "--creds", s.creds("bus"))
	cmd := exec.CommandContext(t.Context(), binary(t, "jet-bus"), restore...)
	cmd.Env = s.env()
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), " is on the servers already: ") {
		t.Fatalf("restored onto what is in use: %v: %s", err, out)
	}
	before := contents(t, s.admin)
	for _, p := range slices.Concat(s.runners, s.buses) {
		p.stop(t)
	}
	for _, p := range s.servers {
		p.stop(t)
	}
	must(t, os.RemoveAll(filepath.Join(s.dir, "store")))
	for _, p := range s.servers {
		p.again(t)
	}
	s.connect(t, "bus")
	if out := s.run(t, "jet-bus", restore...); !strings.Contains(out, "restored onto "+s.url+": ") {
		t.Errorf("restore: %s", out)
	}
	// Each server has all of it: none is missed.
	leader := s.leader(t, bus.StreamEvents)
	leader.kill(t)
	eventually(t, "another leader", func(context.Context) bool { return s.leader(t, bus.StreamEvents) != leader })
	if diff := cmp.Diff(before, contents(t, s.admin)); diff != "" {
		t.Errorf("restored (-want +got)\n%s", diff)
	}
	leader.again(t)
	s.whole(t)
	for _, p := range slices.Concat(s.buses, s.runners) {
		p.again(t)
	}
	s.tick(t, "tick20")
	s.jobsEnd(t, 4)
	for _, m := range stored(t, s.admin, bus.StreamRuns, bus.AllStates) {
		var j queue.Job
		must(t, json.Unmarshal(m.Data, &j))
		if j.Attempt > 1 {
			t.Errorf("job %s was run again", j.ID)
		}
	}
}

// contents are the events and the states of jobs on a bus, with their sequences.
func contents(t *testing.T, b *bus.Bus) []string {
	t.Helper()
	var all []string
	for _, stream := range []string{bus.StreamEvents, bus.StreamRuns} {
		filter := map[string]string{bus.StreamEvents: bus.AllEvents, bus.StreamRuns: bus.AllStates}[stream]
		for _, m := range stored(t, b, stream, filter) {
			all = append(all, fmt.Sprintf("%s %d %s %s", stream, m.Seq, m.Subject, m.Data))
		}
	}
	return all
}
