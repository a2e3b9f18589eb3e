package busd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// A backup is restored onto a bus that is not embedded only where that has nothing.
// test/cluster does it with three servers.
func TestRestoreOnto(t *testing.T) {
	t.Parallel()
	p, stop := run(t, options(t))
	if err := accept(t.Context(), p.Bus, "e1", 0, 0); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(t.TempDir(), "backup")
	if _, err := backup.Take(t.Context(), asAdmin(t, p), from, backup.Options{Version: "test"}); err != nil {
		t.Fatal(err)
	}
	stop()
	s, b := bustest.Start(t, bustest.Bare())
	creds := filepath.Join(t.TempDir(), "creds")
	for _, role := range []busserver.Role{busserver.RoleBus, busserver.RoleViewer} {
		text, err := s.Keys().Issue(role, "restore", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(creds+string(role), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	onto := " --nats " + s.URL() + " --creds " + creds
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"restore /nowhere" + onto + "bus", 1, "there is no backup /nowhere"},
		{"restore " + from + onto + "viewer", 1, "the credentials are those of a viewer; to restore takes the role bus"},
		{"restore " + from + onto + "bus", 1, "the bus is a single server, which keeps one copy of everything: give --replicas 1"},
		{"restore " + from + onto + "bus --replicas 1", 0, "restored onto " + s.URL() + ": "},
		{"restore " + from + onto + "bus --replicas 1", 1, "stream OBJ_states is on the servers already: a backup is restored onto servers with empty stores"},
	} {
		code, stdout, stderr := command(t, proc.Env{}, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
	if stream, err := b.JS.Stream(t.Context(), bus.StreamEvents); err != nil || stream.CachedInfo().State.LastSeq != 1 {
		t.Errorf("the events are not there: %v", err)
	}
}
