package cluster

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// TestFailover kills every process of an installation in turn while events come.
func TestFailover(t *testing.T) {
	needed(t)
	s := newSite(t)
	s.startAll(t)
	s.whole(t)
	l := newLoad(s)
	loading, stop := context.WithCancel(t.Context())
	defer stop()
	publisher := s.connect(t, "publisher")
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { l.publish(loading, t, publisher, 250*time.Millisecond) })
	wg.Go(func() { l.post(loading, t, 250*time.Millisecond) })

	began := time.Now()
	step := func(what string) { t.Logf("%5.1fs %s", time.Since(began).Seconds(), what) }
	bounce := func(p *process, down time.Duration) {
		step("killing " + p.name)
		p.kill(t)
		time.Sleep(down)
		p.again(t)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		bounce(s.servers[name], 2*time.Second)
		s.whole(t)
	}
	for _, stream := range []string{bus.StreamRuns, bus.StreamEvents} {
		step("the leader of " + stream)
		bounce(s.leader(t, stream), time.Second)
		s.whole(t)
	}
	for _, p := range slices.Concat(s.buses, s.runners) {
		bounce(p, time.Second)
		time.Sleep(2 * time.Second)
	}
	s.freeze(t, step)
	stop()
	wg.Wait()
	step("no more events")
	s.settled(t, l)
	s.check(t, l)
	// The credentials and addresses that cluster init wrote are all an operator needs.
	if out := s.run(t, "jet", "--bus", filepath.Join(s.dir, "cluster"), "why", "e10"); !strings.Contains(out, "tenth: fired") {
		t.Errorf("jet why: %s", out)
	}
	for _, p := range slices.Concat(s.buses, s.runners) {
		if !p.running() {
			t.Errorf("%s has ended by itself:\n%s", p.name, p.tail(t))
			continue
		}
		p.stop(t)
	}
	step("all stopped")
}

// freeze stops the jet-bus that holds the singleton for as long as it takes to be
// taken from it, and lets it go on.
func (s *site) freeze(t *testing.T, step func(string)) {
	t.Helper()
	frozen := s.buses[0]
	before := s.holder(t, "scheduler")
	if len(s.buses) > 1 && before == s.buses[1].name {
		frozen = s.buses[1]
	}
	step("freezing " + frozen.name)
	frozen.signal(t, syscall.SIGSTOP)
	time.Sleep(15 * time.Second)
	frozen.signal(t, syscall.SIGCONT)
	if after := s.holder(t, "scheduler"); before != "" && after == before {
		t.Errorf("%s was frozen for 15 s and is still the scheduler", frozen.name)
	}
	step("it goes on")
}

// holder tells which jet-bus holds a singleton, empty if none does.
func (s *site) holder(t *testing.T, singleton string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	m, err := s.admin.Last(ctx, "KV_"+bus.BucketLeases, "$KV."+bus.BucketLeases+"."+singleton)
	if err != nil {
		return ""
	}
	var held struct{ Name string }
	must(t, json.Unmarshal(m.Data, &held))
	for _, p := range s.buses {
		if len(held.Name) > len(p.name) && held.Name[len(held.Name)-len(p.name):] == p.name {
			return p.name
		}
	}
	return held.Name
}
