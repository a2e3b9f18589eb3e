package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tell publishes what it is told.
type tell struct {
	Data any    `yaml:"data"`
	By   string `yaml:"by"`
	Lose bool   `yaml:"lose"` // the connection, before
}

func (*tell) Query(context.Context, *Host) (Plan, error) { return Plan{Need: Execute}, nil }

func (m *tell) Apply(ctx context.Context, h *Host, _ Plan) (Result, error) {
	if m.Lose {
		before := h.Conn
		if err := h.Reconnect(ctx); err != nil {
			return Result{}, err
		}
		if h.Conn == before {
			return Result{}, errors.New("the connection is the same")
		}
	}
	done, err := h.Publish(ctx, Publication{Type: "com.example.a", Source: "/by/" + m.By, Subject: h.Name, Data: m.Data})
	return Result{Message: "as " + done.ID + " by " + h.Conn.User()}, err
}

const tellPlay = `
-- site.yml --
- name: p
  groups: [web]
  vars: {jet_sudo_password: s3cret}
  sudo: root
  tasks:
    - !tell
      data: {secret: ["{{jet_sudo_password}}", 1], item: "{{item}}"}
      by: "{{jet_sudo_password}}"
      with: {items: [a, b]}
      and: {retry: 1, delay: 0, notify: told}
    - !flush {}
    - !tell
      lose: true
      and: {notify: told}
  handlers:
    - !tell
      with: {subscribe: told}
`

// runTell runs tellPlay over two hosts.
func runTell(t *testing.T, o Options) []Event {
	t.Helper()
	l := newLab(t, tellPlay).hosts("h1", "h2")
	reg, err := NewRegistry(Of[tell]("tell", "Publishes."))
	if err != nil {
		t.Fatal(err)
	}
	pb, err := Parse(filepath.Join(l.dir, "site.yml"), reg, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var done []Event
	o.Dialer, o.Report = l, func(e Event) {
		if e.Kind == TaskFinished {
			done = append(done, e)
		}
	}
	if _, err := Run(t.Context(), pb, l.inventory(), o); err != nil {
		t.Fatal(err)
	}
	if l.open != 0 {
		t.Errorf("%d connections were left open", l.open)
	}
	return done
}

// TestPublish: one key for each task, host, item and run of a handler, which the
// attempts at a task share, and another run has too.
func TestPublish(t *testing.T) {
	t.Parallel()
	var runs [2]map[string]int
	for i := range runs {
		keys := map[string]int{}
		var mu sync.Mutex
		done := runTell(t, Options{Publish: func(_ context.Context, p Publication) (Published, error) {
			mu.Lock()
			defer mu.Unlock()
			keys[p.Key]++
			if said := fmt.Sprint(p.Data); strings.Contains(said, "s3cret") || p.Data != nil && !strings.Contains(said, Hidden) {
				t.Errorf("published %s", said)
			}
			if strings.Contains(p.Source, "s3cret") {
				t.Errorf("published from %s", p.Source)
			}
			if strings.HasPrefix(p.Key, "0/task/0/0/2/") && keys[p.Key] == 1 {
				return Published{}, fmt.Errorf("storing: %w", errors.ErrUnsupported)
			}
			return Published{ID: p.Key}, nil
		}})
		for _, e := range done {
			if e.Status != StatusExecuted {
				t.Errorf("%s on %s is %s: %s", e.Task, e.Host, e.Status, e.Message)
			}
			if !strings.Contains(e.Message, " by root") {
				t.Errorf("%s on %s says %q", e.Task, e.Host, e.Message)
			}
		}
		runs[i] = keys
	}
	want := map[string]int{}
	for _, host := range []string{"h1", "h2"} {
		want["0/task/0/0/1/"+host] = 1
		want["0/task/0/0/2/"+host] = 2
		want["0/handler/0/1/0/"+host] = 1
		want["0/task/2/0/0/"+host] = 1
		want["0/handler/0/2/0/"+host] = 1
	}
	for _, keys := range runs {
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("the keys, -want +got:\n%s", diff)
		}
	}
}

func TestPublishWithoutBus(t *testing.T) {
	t.Parallel()
	for _, e := range runTell(t, Options{}) {
		if e.Status != StatusFailed || !strings.Contains(e.Message, "this run has no bus to publish on") {
			t.Errorf("%s on %s is %s: %s", e.Task, e.Host, e.Status, e.Message)
		}
	}
	for _, e := range runTell(t, Options{Check: true}) {
		if e.Status != StatusExecuted {
			t.Errorf("check mode: %s on %s is %s: %s", e.Task, e.Host, e.Status, e.Message)
		}
	}
}
