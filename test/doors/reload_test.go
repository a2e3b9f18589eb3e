package doors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/test/process"
)

// reloadSources is what the content of this test begins with; what is in braces is
// changed in the course of it.
const reloadSources = `
sources:
  tick:
    schedule: {every: 1s, missed: all}
  drop:
    files: {directory: "{drop}", match: "*.txt", every: 1h, settle: 0s}
  lines:
    exec: {command: ["{lines}", "{word}"], type: com.example.word, stop_after: 5s}
`

// wordScript says its word now and then, notes its process and ends when it is told to,
// after a while.
const wordScript = `echo $$ >>"${0%/*}/pids"
trap 'sleep 0.5; exit 0' TERM
while :; do
	printf '{"word":"%s"}\n' "$1" || exit
	sleep 0.2
done
`

// TestReload changes sources and webhooks while they are at work.
func TestReload(t *testing.T) {
	needed(t)
	t.Parallel()
	s := newSite(t)
	d := newDrop(t, s.dir+"/drop")
	script := s.script(t, "lines", wordScript)
	content := func(word, more string) string {
		return strings.NewReplacer("{drop}", d.dir, "{lines}", script, "{word}", word).Replace(reloadSources) + more
	}
	s.write(t, "content/rules/none.yml", "rules: []\n")
	s.write(t, "content/sources.yml", content("one", ""))
	s.start(t)
	for _, name := range []string{"tick", "drop"} {
		s.fares(t, name, "well", well)
	}
	s.word(t, "one")

	t.Log("one is changed, one is added")
	since := s.fares(t, "tick", "well", well).Since
	s.write(t, "content/sources.yml", content("two", "  more:\n    schedule: {every: 1h}\n"))
	s.fares(t, "more", "well", well)
	s.word(t, "two")
	if got := s.fares(t, "tick", "well", well).Since; got != since {
		t.Errorf("what was not changed is well since %s, and was since %s", got, since)
	}

	t.Log("content has faults")
	s.write(t, "content/sources.yml", content("three", "  more:\n    shedule: {every: 1h}\n"))
	process.Eventually(t, "that to be told", func() bool { return s.has(t, events.TypeRulesRefused, "") })
	s.ticks(t)
	if all := s.words(t); all["two"] == 0 || all["three"] != 0 {
		t.Errorf("words: %v", all)
	}

	t.Log("one is gone, and comes back")
	without := strings.Join(append(strings.SplitAfter(content("two", ""), "\n")[:4], strings.SplitAfter(content("two", ""), "\n")[6:]...), "")
	s.write(t, "content/sources.yml", without)
	for _, name := range []string{"drop", "more"} {
		process.Eventually(t, "source "+name+" to be gone", func() bool {
			_, err := intake.Get(t.Context(), s.admin, name)
			return errors.Is(err, intake.ErrUnknown)
		})
	}
	d.put(t, 3)
	s.write(t, "content/sources.yml", content("two", ""))
	process.Eventually(t, "what was dropped meanwhile to be told", func() bool { return s.count(t, events.TypeFileCreated) == 3 })

	t.Log("one is asked to look")
	d.put(t, 2)
	if out := s.jet(t, "sources", "poll", "drop", "--wait"); !strings.Contains(out, "source drop has looked: 2 events") {
		t.Errorf("jet sources poll: %s", out)
	}

	t.Log("one is paused")
	s.jet(t, "sources", "pause", "tick", "--reason", "to see")
	s.fares(t, "tick", "paused", func(st intake.State) bool { return st.State == intake.Paused })
	paused := s.count(t, events.TypeScheduleDue)
	s.word(t, "two")
	d.put(t, 1)
	s.jet(t, "sources", "poll", "drop", "--wait")
	if got := s.count(t, events.TypeScheduleDue); got != paused {
		t.Errorf("a source that is paused has brought %d events", got-paused)
	}
	s.jet(t, "sources", "resume", "tick")
	s.ticks(t)

	s.reloadHooks(t)
	s.drain(t)
	s.check(t)
}

// has reports whether an event of a type, and of a subject unless that is empty, is stored.
func (s *site) has(t *testing.T, typ, subject string) bool {
	t.Helper()
	for _, e := range s.events(t) {
		if e.Type() == typ && (subject == "" || e.Subject() == subject) {
			return true
		}
	}
	return false
}

// count returns how many events of a type are stored.
func (s *site) count(t *testing.T, typ string) (n int) {
	t.Helper()
	for _, e := range s.events(t) {
		if e.Type() == typ {
			n++
		}
	}
	return n
}

// words returns how often the program has said which word.
func (s *site) words(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, e := range s.events(t) {
		if e.Type() == "com.example.word" {
			var d struct{ Word string }
			must(t, e.DataAs(&d))
			out[d.Word]++
		}
	}
	return out
}

// word waits until the program says a word once more.
func (s *site) word(t *testing.T, word string) {
	t.Helper()
	was := s.words(t)[word]
	process.Eventually(t, "the program to say "+word, func() bool { return s.words(t)[word] > was })
}

// ticks waits until the schedule has come to be due twice more.
func (s *site) ticks(t *testing.T) {
	t.Helper()
	was := s.count(t, events.TypeScheduleDue)
	process.Eventually(t, "the schedule to go on", func() bool { return s.count(t, events.TypeScheduleDue) >= was+2 })
}

// reloadHooks changes the webhooks, for worse and for better.
func (s *site) reloadHooks(t *testing.T) {
	t.Helper()
	app, other := newHost(t, s.http), newHost(t, s.http)
	other.url = "http://" + s.http + "/hooks/other"
	const two = "hooks:\n  - name: app\n    kind: github\n    secret_files: [app.secret]\n" +
		"  - name: other\n    kind: %s\n    secret_files: [app.secret]\n"
	t.Log("webhooks with a fault")
	s.write(t, "data/hooks.yml", fmt.Sprintf(two, "githup"))
	process.Eventually(t, "that to be said", func() bool {
		return strings.Contains(s.bus.Errors(t), "webhooks not reloaded, those before stay in service")
	})
	must(t, app.deliver("while-faulty", 1))
	if err := other.deliver("too-early", 1); err == nil {
		t.Error("a webhook of a file with faults takes events")
	}
	t.Log("and without")
	s.write(t, "data/hooks.yml", fmt.Sprintf(two, "github"))
	process.Eventually(t, "the second webhook", func() bool { return other.deliver("now", 2) == nil })
	must(t, app.deliver("still", 3))
	s.fares(t, "hook-other", "listed", func(st intake.State) bool { return st.Events > 0 })
}

// drain stops jet-bus in the middle of its work, and looks whether all is stored that it
// took, and whether anything is left of it.
func (s *site) drain(t *testing.T) {
	t.Helper()
	t.Log("stopped at work")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var mu sync.Mutex
	taken := map[string]bool{}
	for sender := range 4 {
		h := newHost(t, s.http)
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if id := fmt.Sprintf("drain-%d-%d", sender, n); h.deliver(id, n) == nil {
					mu.Lock()
					taken[id] = true
					mu.Unlock()
				}
			}
		})
	}
	process.Eventually(t, "deliveries to be taken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(taken) > 50
	})
	s.bus.Stop(t)
	cancel()
	wg.Wait()
	for _, pid := range s.pids(t) {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d of the program is left: %v", pid, err)
		}
	}
	s.start(t)
	stored := map[string]int{}
	for _, e := range s.events(t) {
		stored[e.ID()]++
	}
	for id := range taken {
		if stored[id] != 1 {
			t.Errorf("delivery %s was taken, and is there %d times", id, stored[id])
		}
	}
	t.Logf("%d deliveries were taken until the end", len(taken))
	s.ticks(t)
	s.bus.Stop(t)
	s.start(t)
}

// pids are the processes that the program was so far.
func (s *site) pids(t *testing.T) (all []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "pids"))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		must(t, err)
		all = append(all, pid)
	}
	return all
}

// check looks whether the schedule has missed nothing, and all events are there once.
func (s *site) check(t *testing.T) {
	t.Helper()
	times := map[string]int{}
	var last time.Time
	for _, e := range s.events(t) {
		if times[e.Source()+" "+e.ID()]++; times[e.Source()+" "+e.ID()] == 2 {
			t.Errorf("event %s of %s is stored twice", e.ID(), e.Source())
		}
		if e.Type() != events.TypeScheduleDue {
			continue
		}
		var d events.ScheduleDue
		must(t, e.DataAs(&d))
		if d.Schedule == "tick" {
			if !last.IsZero() && d.Due.Sub(last) != time.Second {
				t.Errorf("after %s comes %s", last, d.Due)
			}
			last = d.Due
		}
	}
	s.bus.Stop(t)
}
