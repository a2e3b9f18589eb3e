package modules

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// origin is a repository on this machine to clone from.
type origin struct {
	t   *testing.T
	dir string
}

func newOrigin(t *testing.T) origin {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		conntest.Missing(t, "git is needed")
	}
	o := origin{t, filepath.Join(t.TempDir(), "it's a; repo")}
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.git("init", "-q", "-b", "main")
	o.commit("one")
	return o
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{
		"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false",
	}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (o origin) git(args ...string) string { o.t.Helper(); return gitIn(o.t, o.dir, args...) }

// commit makes a commit in which the file has that text, and returns its hash.
func (o origin) commit(text string) string {
	o.t.Helper()
	write(o.t, o.dir+"/file", text)
	o.git("add", "file")
	o.git("commit", "-q", "-m", text)
	return o.git("rev-parse", "HEAD")
}

// clone is a working copy under test.
type clone struct {
	t *testing.T
	h *engine.Host
	m gitModule
}

func (c *clone) dir() string { return string(c.m.Path) }

// bring runs the module and compares what it did, and that it does nothing a
// second time.
func (c *clone) bring(what string, m gitModule, need engine.Need, fields ...string) {
	c.t.Helper()
	m.Repo, m.Path = c.m.Repo, c.m.Path
	if m.Attributes == (attributes{}) {
		m.Attributes = c.m.Attributes
	}
	p, _, err := enact(c.t, &m, c.h)
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	if p.Need != need || !slices.Equal(p.Fields, fields) {
		c.t.Errorf("%s: plan is %v, want %v %v", what, p, need, fields)
	}
	if p, _, err := enact(c.t, &m, c.h); err != nil || p.Need != engine.Matched {
		c.t.Errorf("%s: second run: %v, %v", what, p, err)
	}
}

func (c *clone) refuse(what string, m gitModule, want string) {
	c.t.Helper()
	m.Repo, m.Path = c.m.Repo, c.m.Path
	if _, _, err := enact(c.t, &m, c.h); err == nil || !strings.Contains(err.Error(), want) {
		c.t.Errorf("%s: error is %v, want %q", what, err, want)
	}
}

func (c *clone) holds(text string) {
	c.t.Helper()
	if got := read(c.t, c.dir()+"/file"); got != text {
		c.t.Errorf("the file holds %q, want %q", got, text)
	}
}

func newClone(t *testing.T, o origin, scheme string) *clone {
	t.Helper()
	return &clone{t: t, h: &engine.Host{Conn: here(t)}, m: gitModule{
		Repo: scheme + o.dir, Path: hostPath(filepath.Join(t.TempDir(), "new", "-clone $(x)")),
	}}
}

func TestGitFollowsBranch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	c := newClone(t, o, "")
	c.bring("new", gitModule{}, engine.Create)
	c.holds("one")
	o.git("checkout", "-q", "-b", "dev")
	o.commit("dev")
	c.bring("another branch of the remote moved, and is its HEAD", gitModule{}, engine.Matched)
	c.bring("other branch", gitModule{Branch: "dev"}, engine.Modify, fieldBranch, fieldVersion)
	c.holds("dev")
	c.bring("default branch", gitModule{Branch: "HEAD"}, engine.Matched)
	o.git("checkout", "-q", "main")
	o.commit("two")
	no := false
	c.bring("no update", gitModule{Update: &no}, engine.Matched)
	c.bring("back", gitModule{}, engine.Modify, fieldBranch, fieldVersion)
	c.holds("two")
	o.git("reset", "-q", "--hard", "HEAD^")
	c.bring("history was rewritten", gitModule{}, engine.Modify, fieldVersion)
	c.holds("one")
	if got := gitIn(t, c.dir(), "status", "--short", "--branch"); got != "## main...origin/main" {
		t.Errorf("status is %q", got)
	}
}

func TestGitTagsAndCommits(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.git("rev-parse", "HEAD")
	o.git("tag", "-a", "-m", "x", "v1")
	second := o.commit("two")
	o.git("tag", "v2")
	o.commit("three")
	for _, depth := range []uint16{0, 1} {
		c := newClone(t, o, "file://")
		c.bring("tag", gitModule{Tag: "v1", Depth: depth}, engine.Create)
		c.holds("one")
		c.bring("other tag", gitModule{Tag: "v2", Depth: depth}, engine.Modify, fieldVersion)
		c.holds("two")
		c.bring("commit", gitModule{Commit: first, Depth: depth}, engine.Modify, fieldVersion)
		c.holds("one")
		c.bring("branch", gitModule{Depth: depth}, engine.Modify, fieldBranch, fieldVersion)
		c.holds("three")
		c.bring("commit again", gitModule{Commit: second, Depth: depth}, engine.Modify, fieldVersion)
		c.holds("two")
		c.refuse("no tag", gitModule{Tag: "v9"}, `the remote has no tag called "v9"`)
		c.refuse("no branch", gitModule{Branch: "tags/v1"}, `the remote has no branch called "tags/v1"`)
		c.refuse("no commit", gitModule{Commit: strings.Repeat("1", 40)}, "the remote has no commit 1111")
	}
	o.git("tag", "-f", "v2", "main")
	c := newClone(t, o, "file://")
	c.bring("one commit deep", gitModule{Depth: 1}, engine.Create)
	if got := gitIn(t, c.dir(), "rev-list", "--count", "HEAD"); got != "1" {
		t.Errorf("history has %s commits", got)
	}
	c.bring("moved tag", gitModule{Tag: "v2"}, engine.Matched)
}

func TestGitKeepsChanges(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	c := newClone(t, o, "file://")
	c.bring("new", gitModule{}, engine.Create)
	write(t, c.dir()+"/file", "mine")
	write(t, c.dir()+"/own", "own")
	c.bring("nothing to do", gitModule{}, engine.Matched)
	o.commit("two")
	c.refuse("changed file", gitModule{}, "files in it were changed")
	c.holds("mine")
	c.bring("forced", gitModule{Force: true}, engine.Modify, fieldVersion, fieldContent)
	c.holds("two")
	if got := read(t, c.dir()+"/own"); got != "own" {
		t.Errorf("a file git does not know holds %q", got)
	}
	write(t, c.dir()+"/file", "my commit")
	gitIn(t, c.dir(), "commit", "-q", "-a", "-m", "mine")
	c.refuse("own commit", gitModule{}, "it holds 1 commits that the remote does not have")
	o.git("checkout", "-q", "-b", "dev")
	c.refuse("own commit, on another branch", gitModule{Branch: "dev"}, "it holds 1 commits")
	c.bring("forced", gitModule{Force: true}, engine.Modify, fieldVersion)
	c.holds("two")
}

func TestGitOtherRepository(t *testing.T) {
	t.Parallel()
	one, other := newOrigin(t), newOrigin(t)
	c := newClone(t, one, "file://")
	c.bring("new", gitModule{}, engine.Create)
	other.commit("other")
	c.m.Repo = other.dir
	c.bring("other repository", gitModule{}, engine.Modify, fieldRepo, fieldVersion)
	c.holds("other")
}

func TestGitStoppedClone(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	c := newClone(t, o, "file://")
	write(t, c.dir()+"/file", "half")
	gitIn(t, c.dir(), "init", "-q", "-b", "main")
	no := false
	c.bring("stopped", gitModule{Update: &no}, engine.Modify, fieldRepo, fieldVersion)
	c.holds("one")
}

func TestGitAttributes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	c := newClone(t, o, "file://")
	mode := attributes{Mode: engine.Mode{Given: true, Perm: 0o700}}
	c.bring("new", gitModule{Attributes: mode}, engine.Create)
	if os.Getuid() != 0 {
		return
	}
	c.bring("owner", gitModule{Attributes: attributes{Owner: "1234", Group: "5678", Mode: mode.Mode}}, engine.Modify, fieldOwner, fieldGroup)
	o.commit("two")
	c.refuse("of another user", gitModule{}, "belongs to 1234, and the task runs as root")
	c.bring("update of another user's", gitModule{Attributes: attributes{Owner: "1234", Group: "5678"}}, engine.Modify, fieldVersion)
	if err := os.Chown(c.dir()+"/file", 0, 0); err != nil {
		t.Fatal(err)
	}
	c.bring("one file", gitModule{Attributes: attributes{Owner: "1234"}}, engine.Modify, fieldOwner)
}

func TestGitHidesPasswords(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		conntest.Missing(t, "git is needed")
	}
	m := gitModule{Repo: "http://someone:s3cret@127.0.0.1:1/x", Path: hostPath(t.TempDir())}
	_, _, err := enact(t, &m, &engine.Host{Conn: here(t)})
	if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "someone") {
		t.Errorf("error is %v", err)
	}
}

func TestGitSSH(t *testing.T) {
	t.Parallel()
	for repo, want := range map[string]bool{
		"git@example.com:a/b": true, "host:b": true, "ssh://host/b": true, "git+ssh://host/b": true,
		"https://host/b": false, "/srv/a:b": false, "file:///x": false, "./a:b": false,
	} {
		if got := (gitRepo{url: repo}).overSSH(); got != want {
			t.Errorf("%s: over SSH is %v", repo, got)
		}
	}
	env := sshEnv(false, map[string]string{"IdentityFile": "/a b'c", "Port": "22"})
	want := `ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o 'IdentityFile=/a b'\''c' -o 'Port=22'`
	if diff := cmp.Diff(want, env["GIT_SSH_COMMAND"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
