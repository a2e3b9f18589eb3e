package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// TestDelegate is checklist lines 18, 34, 35 and 36.
func TestDelegate(t *testing.T) {
	t.Parallel()
	l := site(t, "w1 w2", `
  vars: {there: db1}
  tasks:
    - !note
      name: elsewhere
      msg: "for {{ delegate_host }} {{ word }}"
      with: {delegate_to: "{{ there }}"}
    - !note
      name: skipped
      msg: x
      with: {delegate_to: "{{ undefined }}", condition: false}
    - !note
      name: itself
      msg: "still {{ delegate_host }}"
      with: {delegate_to: w1, condition: (eq me "w1")}
    - !store
      var: kept
      value: 7
      with: {delegate_to: db1}
    - !note
      name: per item
      msg: "{{ item }}"
      with: {delegate_to: "{{ item }}", items: [db1, w2], skip_if_exists: "/{{ item }}", condition: (eq me "w1")}
    - !say {msg: "{{ kept }} {{#if (isdefined delegate_host)}}leak{{/if}}"}
-- inv/groups/db.yml --
hosts: [db1]
-- inv/host_vars/db1.yml --
jet_ssh_hostname: 192.0.2.9
jet_ssh_user: dba
word: of the delegate
-- inv/host_vars/w1.yml --
me: w1
word: own
jet_ssh_user: web
-- inv/host_vars/w2.yml --
me: w2
word: own
`)
	l.files["/w2"] = true
	r := l.run(Options{Forks: 1})
	if r.Failed() || r.err != nil {
		t.Fatalf("%v %v", r.err, r.finished())
	}
	wantLines(t, "calls", l.calls,
		"w1 on db1 as login: for w1 own", "w2 on db1 as login: for w2 own",
		"w1 as login: still w1",
		"w1 on db1 as login: db1",
		"w1: 7 ", "w2: 7 ")
	want := []conn.Target{
		{Name: "db1", Address: "192.0.2.9", User: "dba"},
		{Name: "w1", User: "web"},
		{Name: "w2"},
	}
	if diff := cmp.Diff(want, l.dialed); diff != "" {
		t.Errorf("targets differ (-want +got):\n%s", diff)
	}
	for _, e := range r.events {
		want := map[string]string{"elsewhere": "db1", "store": "db1", "per item": "db1, w2"}[e.Task]
		if e.Kind == TaskFinished && e.Status != StatusSkipped && e.Delegate != want {
			t.Errorf("%s ran on %q, want %q", e.Task, e.Delegate, want)
		}
	}
}

// TestDelegateRefused is the other half of checklist line 35.
func TestDelegateRefused(t *testing.T) {
	t.Parallel()
	const near = "\n-- inv/groups/near.yml --\nhosts: [near]\n-- inv/host_vars/near.yml --\njet_ssh_hostname: localhost\n"
	tests := []struct {
		to      string
		allow   bool
		message string
	}{
		{"localhost", false, "delegate_to: localhost is this machine"},
		{"localhost", true, ""},
		{"near", false, "delegate_to: near is this machine"},
		{"near", true, ""},
		{"nowhere", true, `delegate_to: there is no host "nowhere" in the inventory`},
	}
	for _, tt := range tests {
		l := site(t, "w1", "  tasks:\n    - !note\n      msg: a\n      with: {delegate_to: "+tt.to+"}\n"+near)
		r := l.run(Options{LocalDelegation: tt.allow})
		e := r.last(t)
		if refused := e.Status == StatusFailed; refused != (tt.message != "") || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%+v: %s %s", tt, e.Status, e.Message)
		}
		if dialed := len(l.dialed) > 0; dialed != (tt.message == "") || dialed && !l.dialed[0].Local {
			t.Errorf("%+v: dialled %v", tt, l.dialed)
		}
	}
}

// TestDelegateDown checks that a host does not count as lost when it is another one
// that cannot be reached.
func TestDelegateDown(t *testing.T) {
	t.Parallel()
	l := site(t, "w1", `
  tasks:
    - !block
      tasks: [!note {msg: a, with: {delegate_to: db1}}]
      rescue: [!say {msg: "{{ failed_message }}"}]
-- inv/groups/db.yml --
hosts: [db1]
`)
	l.down["db1"] = errors.New("no route")
	r := l.run(Options{})
	wantLines(t, "results", r.finished(), "w1 note rescued", "w1 say passive")
	wantLines(t, "calls", l.calls, "w1: delegated to db1, which cannot be reached: no route")
}

// slowDialer takes a second, and counts.
type slowDialer struct {
	mu    sync.Mutex
	calls int
	err   error
}

func (d *slowDialer) Dial(ctx context.Context, _ conn.Target) (conn.Conn, error) {
	d.mu.Lock()
	d.calls++
	d.mu.Unlock()
	if !wait(ctx, time.Second) {
		return nil, context.Cause(ctx)
	}
	return &fakeConn{lab: &lab{}}, d.err
}

// TestLinks checks that many who want one connection share it, also when it
// cannot be had, unless who dialled merely gave up.
func TestLinks(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name  string
		err   error
		hurry bool // the first one gives up early
		calls int
	}{
		{"shared", nil, false, 1},
		{"failed for all", refused, false, 1},
		{"given up by one", nil, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &slowDialer{err: tt.err}
				l := newLinks(d)
				var wg sync.WaitGroup
				for i := range 10 {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if tt.hurry && i == 0 {
						go func() { time.Sleep(time.Second / 2); cancel() }()
					}
					wg.Go(func() {
						c, err := l.get(ctx, conn.Target{Name: "db"})
						switch {
						case tt.hurry && i == 0:
							if !errors.Is(err, context.Canceled) {
								t.Errorf("who gave up got %v", err)
							}
						case tt.err != nil:
							if !errors.Is(err, refused) || !errors.Is(err, conn.ErrUnreachable) {
								t.Errorf("got %v", err)
							}
						case c == nil || err != nil:
							t.Errorf("got %v, %v", c, err)
						}
					})
					synctest.Wait()
				}
				wg.Wait()
				if d.calls != tt.calls {
					t.Errorf("dialled %d times, want %d", d.calls, tt.calls)
				}
			})
		})
	}
}
