package modules

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/test/lab"
)

// revive starts a host that went down again, as the machine that it stands for
// would by itself, until the test ends.
func revive(t *testing.T, h lab.Host) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	wg.Go(func() {
		tick := time.NewTicker(300 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := h.Exec(ctx, "true"); err != nil && ctx.Err() == nil {
				_ = h.Start(ctx) // again, if it was still on its way down
			}
		}
	})
}

// TestReboot has a host go down and come back, over the connection of the task and
// of those behind it.
func TestReboot(t *testing.T) {
	h := host(t, Debian)
	began := func(s *site) string {
		return s.outside(t, "stat -c %Y /run/systemd/system; cut -d' ' -f22 /proc/1/stat")
	}
	s := newSite(t, h, Case{Task: "!reboot\nmsg: \"it's \\\"time\\\"; $(touch /tmp/owned)\"\ntest_command: systemctl is-active ssh\ntimeout: 90s\n"})
	first := began(s)
	if r, said := s.run(t, "--check"); r == nil || r.Status != "executed" {
		t.Fatalf("the check:\n%s", said)
	}
	if now := began(s); now != first {
		t.Fatal("the check has rebooted the host")
	}
	revive(t, h)
	r, said := s.run(t)
	if r == nil || r.Status != "executed" {
		t.Fatalf("the run:\n%s", said)
	}
	if now := began(s); now == first {
		t.Errorf("the host was not started anew: %s", now)
	}
	if got := s.outside(t, "ls /tmp"); strings.Contains(got, "owned") {
		t.Error("the message was run")
	}

	// A task behind it uses the connection that the host was found back with.
	s = newSite(t, h, Case{Task: "!reboot\ntimeout: 90s\ndelay: 1s\n"})
	s.write(t, "play.yml", `- name: play
  groups: [all]
  sudo: root
  tasks:
    - !shell {cmd: touch /run/before}
    - !reboot {timeout: 90s, delay: 1s, command: systemctl reboot, and: {register: done}}
    - !shell {cmd: "test ! -e /run/before && test {{quote done.changed}} = true && echo {{quote done.elapsed}} >/srv/after"}
`)
	if r, said := s.run(t); r == nil || r.Status != "executed" {
		t.Fatalf("the second run:\n%s", said)
	}
	if got := s.outside(t, "cat /srv/after"); !strings.Contains(got, ".") && got == "" {
		t.Errorf("it took %q", got)
	}
}

// TestRebootFails: what does not go down, and what does not come back.
func TestRebootFails(t *testing.T) {
	h := host(t, Debian)
	for _, tt := range []struct{ task, want string }{
		{"!reboot\ncommand: 'true'\ntimeout: 3s\n", "not back within 3s: it has not gone down"},
		{"!reboot\ncommand: echo no way >&2; exit 5\n", "no way"},
		{"!reboot\ncommand: ' '\n", "command is empty"},
		{"!reboot\ntimeout: 8s\n", "not back within 8s"}, // nobody starts it again
	} {
		r, said := newSite(t, h, Case{Task: tt.task}).run(t)
		if r != nil && r.Status != "failed" || !strings.Contains(said, tt.want) {
			t.Errorf("%q: want %q:\n%s", tt.task, tt.want, said)
		}
	}
}
