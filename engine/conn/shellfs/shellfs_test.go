package shellfs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/engine/conn/shellfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a connection whose files go over its shell.
type host struct {
	commands
	*files.FS
}

type commands struct{ conn.Conn }

// As keeps the connection to the user itself.
func (h *host) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	c, err := h.Conn.As(ctx, b)
	if c == h.Conn {
		return h, err
	}
	return c, err
}

// over returns c with its files over a shell that finds all programs, itself
// included, in the directory bin. An empty one stands for the host's own.
func over(c conn.Conn, bin string) *host { return overRun(c, bin, c.Run) }

// overRun is over with a function that runs the commands.
func overRun(c conn.Conn, bin string, start func(context.Context, conn.Cmd) (conn.Output, error)) *host {
	run := func(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
		if bin != "" {
			cmd.Argv = slices.Concat([]string{"/usr/bin/env", "PATH=" + bin, filepath.Join(bin, "sh")}, cmd.Argv[1:])
		}
		return start(ctx, cmd)
	}
	return &host{commands{c}, files.New(shellfs.New(run), files.NewHostNames(c.Run))}
}

func here(t *testing.T) conn.Conn {
	t.Helper()
	c, err := local.Dial(t.Context(), conn.Target{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// tools makes a directory of programs: links to those that are named, a colon
// between name and target where they differ.
func tools(t *testing.T, links ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, l := range links {
		name, target, ok := strings.Cut(l, ":")
		if !ok {
			target = name
		}
		file, err := exec.LookPath(target)
		if err == nil {
			err = os.Symlink(file, filepath.Join(dir, name))
		}
		if err != nil {
			conntest.Missing(t, err.Error())
		}
	}
	return dir
}

// foreign puts a stat and an mv into bin that answer as those of another system
// do.
func foreign(t *testing.T, bin string) {
	t.Helper()
	for name, text := range map[string]string{
		"stat": `#!/bin/sh
link= format=
while getopts Lf: o; do
  case $o in L) link=-L ;; f) format=$OPTARG ;; *) exit 1 ;; esac
done
shift $((OPTIND-1))
case $format in
'%Xp %z %m %u %g') exec /usr/bin/stat $link -c '%f %s %Y %u %g' -- "$1" ;;
'%Mp%Lp %u %g') exec /usr/bin/stat $link -c '%a %u %g' -- "$1" ;;
esac
exit 1
`,
		"mv": `#!/bin/sh
[ "$2" = -T ] || [ "$2" = -h ] && exit 64
exec /bin/mv "$@"
`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// needed is the programs that the scripts cannot do without.
var needed = []string{"mv", "cat", "chmod", "chown", "dd", "head", "ln", "ls", "mkdir", "rm", "rmdir", "sync", "tail", "wc"}

// hosts runs a test over kinds of hosts, by the programs they have: all kinds, or
// those that are named. No other user may have to get at the programs.
func hosts(t *testing.T, test func(t *testing.T, bin string), kinds ...string) {
	t.Helper()
	busybox := []string{}
	for _, n := range needed {
		busybox = append(busybox, n+":busybox")
	}
	for name, links := range map[string][]string{
		"own":     nil,
		"bash":    slices.Concat(needed, []string{"sh:bash", "stat", "readlink", "sha256sum", "date"}),
		"busybox": slices.Concat(busybox, []string{"sh:busybox", "stat:busybox", "readlink:busybox", "sha256sum:busybox", "date:busybox"}),
		"few":     slices.Concat(needed, []string{"sh:dash", "readlink", "date"}),
	} {
		if len(kinds) > 0 && !slices.Contains(kinds, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := ""
			if links != nil {
				bin = tools(t, links...)
			}
			if name == "bsd" {
				foreign(t, bin)
			}
			test(t, bin)
		})
	}
}

// The suite takes its time: hosts that differ in a tool or two are left to the
// tests that look where it matters.
func TestConformance(t *testing.T) {
	t.Parallel()
	hosts(t, func(t *testing.T, bin string) {
		c := here(t)
		conntest.Run(t, func(*testing.T) conn.Conn { return over(c, bin) })
	}, "own", "busybox")
}

func TestConformanceAsOtherUser(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c, err := here(t).As(t.Context(), conn.Become{User: name})
	if err != nil {
		t.Fatal(err)
	}
	conntest.Run(t, func(*testing.T) conn.Conn { return over(c, "") })
}
