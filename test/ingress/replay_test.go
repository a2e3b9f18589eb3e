package ingress

import (
	"bytes"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/test/process"
)

// TestReplayed sends again what was sent before: at once, after a restart, with another body, and by
// another endpoint.
func TestReplayed(t *testing.T) {
	t.Parallel()
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	s := newSite(t, string(hooks)+"  - {name: second, kind: github, secret_files: [github.secret]}\n")
	s.start(t)
	first := map[string]request{}
	stored := map[string]answer{}
	check := func(when string, from sender, r request) {
		t.Helper()
		a := s.post(t, r)
		if a.status != http.StatusAccepted || len(a.stored) != 1 || !a.stored[0].Duplicate || a.stored[0].Seq != stored[from.hook].stored[0].Seq {
			t.Errorf("%s, %s: answered %d %s; first it was %s", from.hook, when, a.status, a.text, stored[from.hook].text)
		}
	}
	for _, from := range senders() {
		r := from.fresh(t)
		from.sign(&r, from.secret(0), time.Now())
		first[from.hook], stored[from.hook] = r, s.post(t, r)
		if a := stored[from.hook]; a.status != http.StatusAccepted || a.stored[0].Duplicate {
			t.Fatalf("%s: answered %d %s", from.hook, a.status, a.text)
		}
		check("again", from, r)
		// The id decides, where the sender has one of its own: who has signed it has said so.
		if from.delivery != nil && !freshIDs(from.hook) && from.hook != "sourcehut" {
			r.header, r.body = r.header.Clone(), append(bytes.Clone(r.body), '\n')
			from.sign(&r, from.secret(0), time.Now())
			check("another body under the same id", from, r)
		}
	}
	r := first["github"]
	r.path = "/hooks/second"
	check("by another endpoint", senders()[0], r)

	s.bus.Kill(t)
	s.start(t)
	s.stream = nil
	for _, from := range senders() {
		check("after a crash", from, first[from.hook])
	}
	if n := len(s.events(t, 0)); n != len(first) {
		t.Errorf("%d events are stored, %d were sent", n, len(first))
	}
}

// TestOldGitLab is about versions that give deliveries no id: what has the same body, and tells of the
// same occurrence, is the same.
func TestOldGitLab(t *testing.T) {
	t.Parallel()
	s := newSite(t, "hooks:\n  - {name: gitlab-token, kind: gitlab, secret_files: [gitlab-token.secret]}\n")
	s.start(t)
	send := func(occurrence string, change func(*request)) answer {
		r := signed(t, "gitlab-token", "gitlab-token", func(r *request) {
			r.header.Del("Idempotency-Key")
			r.header.Set("X-Gitlab-Event-UUID", occurrence)
			body, err := os.ReadFile("testdata/gitlab/push.json")
			must(t, err)
			r.body = body
			if change != nil {
				change(r)
			}
		})
		a := s.post(t, r)
		if a.status != http.StatusAccepted || len(a.stored) != 1 {
			t.Fatalf("answered %d %s", a.status, a.text)
		}
		return a
	}
	one := send("13792a34-cac6-4fda-95a8-c58e00a3954e", nil)
	if again := send("13792a34-cac6-4fda-95a8-c58e00a3954e", nil); !again.stored[0].Duplicate || again.stored[0].Seq != one.stored[0].Seq {
		t.Errorf("sent again: %s, first %s", again.text, one.text)
	}
	other := send("13792a34-cac6-4fda-95a8-c58e00a3954e", func(r *request) {
		r.body = bytes.ReplaceAll(r.body, []byte("labdev"), []byte("another"))
	})
	if other.stored[0].Duplicate {
		t.Errorf("another body of the same occurrence: %s", other.text)
	}
	if n := len(s.events(t, 0)); n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// TestKilled kills jet-bus while deliveries come, several times: whatever was answered 202 is stored,
// where it was said to be, and is known when it comes again.
func TestKilled(t *testing.T) {
	t.Parallel()
	const rounds, enough = 5, 15
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	s := newSite(t, string(hooks))
	accepted := map[uint64]storedAt{}
	var last request
	for round := range rounds {
		s.start(t)
		if round > 0 {
			if a := s.post(t, last); a.status != http.StatusAccepted || !a.stored[0].Duplicate {
				t.Errorf("round %d: what came last before the crash is answered %d %s", round, a.status, a.text)
			}
		}
		type result struct {
			request request
			answer  answer
		}
		results, stop := make(chan result), make(chan struct{})
		var requests [3][]request // made here: nobody else may end the test
		for i := range requests {
			for n := range 200 {
				from := senders()[(i+n)%len(senders())]
				r := from.fresh(t)
				from.sign(&r, from.secret(0), time.Now())
				requests[i] = append(requests[i], r)
			}
		}
		done := make(chan struct{}, len(requests))
		for _, mine := range requests {
			go func() {
				defer func() { done <- struct{}{} }()
				for _, r := range mine {
					a, err := s.try(t.Context(), s.client, r)
					if err != nil {
						return // it is dead
					}
					select {
					case results <- result{r, a}:
					case <-stop:
						return
					}
				}
			}()
		}
		taken, running, killed := 0, len(requests), false
		for running > 0 {
			select {
			case <-done:
				running--
			case r := <-results:
				if r.answer.status != http.StatusAccepted {
					t.Errorf("answered %d %s", r.answer.status, r.answer.text)
					continue
				}
				for _, e := range r.answer.stored {
					accepted[e.Seq] = e
				}
				last = r.request
				if taken++; taken >= enough+round && !killed {
					killed = true
					s.bus.Kill(t)
				}
			}
		}
		close(stop)
		if !killed {
			t.Fatalf("round %d: %d deliveries were taken in all", round, taken)
		}
	}
	s.start(t)
	process.Eventually(t, "the bus to be well", func() bool { return s.bus.Running() })
	kept := s.events(t, 0)
	for seq, e := range accepted {
		if got := kept[seq]; got.text("id") != e.ID || got.text("source") != e.Source || got.text("type") != e.Type {
			t.Errorf("at %d is %s of %s, where %s of %s was said to be", seq, got.text("id"), got.text("source"), e.ID, e.Source)
		}
	}
	t.Logf("%d events were answered for in %d rounds, %d are stored", len(accepted), rounds, len(kept))
}
