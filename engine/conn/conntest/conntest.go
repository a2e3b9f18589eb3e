package conntest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Run runs the suite. open returns an open connection; it may be the same for
// all tests, and is not closed by them.
func Run(t *testing.T, open func(t *testing.T) conn.Conn) {
	tests := map[string]func(*suite){
		"names of every byte":              (*suite).names,
		"stat":                             (*suite).stat,
		"modes":                            (*suite).modes,
		"owners":                           (*suite).owners,
		"missing files":                    (*suite).missing,
		"loops of links":                   (*suite).loops,
		"existing files":                   (*suite).existing,
		"refused access":                   (*suite).refused,
		"paths that are refused":           (*suite).badPaths,
		"write keeps attributes":           (*suite).keeps,
		"write follows links":              (*suite).follows,
		"a failed write leaves no trace":   (*suite).traceless,
		"a cancelled write leaves nothing": (*suite).cancelledWrite,
		"large files":                      (*suite).large,
		"files of any size":                (*suite).huge,
		"interrupted writes":               (*suite).interrupted,
		"inspect":                          (*suite).inspects,
		"inspect what is no file":          (*suite).inspectsOthers,
		"attributes of links":              (*suite).linkAttributes,
		"copy":                             (*suite).copies,
		"directories":                      (*suite).directories,
		"rename":                           (*suite).renames,
		"remove all":                       (*suite).removeAll,
		"output":                           (*suite).output,
		"arguments":                        (*suite).arguments,
		"shell lines":                      (*suite).shell,
		"exit codes":                       (*suite).exitCodes,
		"stdin":                            (*suite).stdin,
		"environment":                      (*suite).environment,
		"directory of a command":           (*suite).cwd,
		"commands that are refused":        (*suite).badCommands,
		"cancel kills the group":           (*suite).cancel,
		"cancel kills the stubborn":        (*suite).stubborn,
		"background processes":             (*suite).background,
		"a listener that fails":            (*suite).listener,
		"many at a time":                   (*suite).many,
		"as the same user":                 (*suite).sameUser,
		"ended context":                    (*suite).ended,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newSuite(t, open(t)))
		})
	}
}

// suite is one test's connection, and a directory on the host that its user
// may write to.
type suite struct {
	*testing.T
	c   conn.Conn
	ctx context.Context //nolint:containedctx // a test's own
	dir string
}

func newSuite(t *testing.T, c conn.Conn) *suite {
	t.Helper()
	s := &suite{T: t, c: c, ctx: t.Context(), dir: "/tmp/jet-conntest-" + rand.Text()}
	s.ok(c.Mkdir(s.ctx, s.dir, conn.Attr{}))
	t.Cleanup(func() {
		if err := c.RemoveAll(context.WithoutCancel(s.ctx), s.dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return s
}

func (s *suite) path(name string) string { return s.dir + "/" + name }

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// is checks that err wraps want and names what it was about.
func (s *suite) is(err, want error, about string) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("error is %v, want one that wraps %v", err, want)
		return
	}
	if !strings.Contains(err.Error(), about) {
		s.Errorf("error %q does not name %q", err, about)
	}
}

func (s *suite) equal(what string, got, want any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s *suite) write(path, content string) {
	s.Helper()
	s.ok(s.c.WriteFile(s.ctx, path, strings.NewReader(content), conn.Attr{}))
}

func (s *suite) read(path string) string {
	s.Helper()
	r, err := s.c.Open(s.ctx, path)
	s.ok(err)
	var b bytes.Buffer
	_, err = io.Copy(&b, r)
	s.ok(err)
	s.ok(r.Close())
	return b.String()
}

func (s *suite) lstat(path string) conn.FileInfo {
	s.Helper()
	fi, err := s.c.Lstat(s.ctx, path)
	s.ok(err)
	return fi
}

func (s *suite) list(path string) []string {
	s.Helper()
	names, err := s.c.ReadDir(s.ctx, path)
	s.ok(err)
	return names
}

func (s *suite) run(c conn.Cmd) conn.Output {
	s.Helper()
	out, err := s.c.Run(s.ctx, c)
	s.ok(err)
	return out
}

// text runs a command that must succeed quietly, and returns what it printed.
func (s *suite) text(argv ...string) string {
	s.Helper()
	out := s.run(conn.Cmd{Argv: argv})
	if out.Code != 0 || len(out.Stderr) > 0 {
		s.Fatalf("%q: exit status %d: %s", argv, out.Code, out.Stderr)
	}
	return string(out.Stdout)
}

func mode(m fs.FileMode) conn.Attr { return conn.Attr{Mode: &m} }
