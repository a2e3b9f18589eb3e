package repo

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is a repository that somebody pushes to, with a work tree to do it from.
type origin struct {
	t    *testing.T
	bare string // absolute path
	work string
}

// newOrigin makes a repository with one commit on main.
func newOrigin(t *testing.T) *origin {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		conntest.Missing(t, "git is needed")
	}
	dir := t.TempDir()
	o := &origin{t: t, bare: filepath.Join(dir, "origin.git"), work: filepath.Join(dir, "work")}
	for _, d := range []string{o.bare, o.work} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	o.at(o.bare, "init", "--quiet", "--bare", "--initial-branch=main")
	o.git("init", "--quiet", "--initial-branch=main")
	o.git("remote", "add", "origin", o.bare)
	o.push(map[string]string{"rules/a.yml": "rules: []\n"})
	return o
}

// git runs git in the work tree.
func (o *origin) git(args ...string) string {
	o.t.Helper()
	return o.at(o.work, args...)
}

func (o *origin) at(dir string, args ...string) string {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits files, pushes the branch that is checked out, and returns the commit.
func (o *origin) push(files map[string]string, flags ...string) string {
	o.t.Helper()
	for name, text := range files {
		name = filepath.Join(o.work, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			o.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			o.t.Fatal(err)
		}
	}
	o.git("add", "--all")
	o.git("commit", "--quiet", "--allow-empty", "-m", "x")
	o.git(append([]string{"push", "--quiet", "origin", "HEAD"}, flags...)...)
	return o.git("rev-parse", "HEAD")
}

// open returns the repository as jet-bus reads it.
func (o *origin) open(change func(*Options)) *Repo {
	o.t.Helper()
	opt := Options{URL: o.bare, Ref: "main", Dir: filepath.Join(o.t.TempDir(), "clone"), Getenv: os.Getenv}
	if change != nil {
		change(&opt)
	}
	r, err := New(opt)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func fetch(t *testing.T, r *Repo, want string) {
	t.Helper()
	got, err := r.Fetch(t.Context())
	if err != nil || got != want {
		t.Errorf("fetched %s, %v; want %s", got, err, want)
	}
}

// files checks a commit out and returns what is in it; a link is shown by an arrow.
func files(t *testing.T, r *Repo, commit string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := r.Checkout(t.Context(), commit, dir); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if d.Type() == os.ModeSymlink {
			target, err := os.Readlink(name)
			out[rel] = "-> " + target
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		out[rel] = string(text)
		if info.Mode()&0o100 != 0 {
			out[rel] += " (program)"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serve serves the repository over HTTPS to whoever has the login.
func (o *origin) serve(user, password string) (url, ca string) {
	o.t.Helper()
	path, err := exec.CommandContext(context.WithoutCancel(o.t.Context()), "git", "--exec-path").Output()
	if err != nil {
		o.t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(o.bare), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved/") {
			http.Redirect(w, r, strings.TrimPrefix(r.URL.String(), "/moved"), http.StatusMovedPermanently)
			return
		}
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		r.TransferEncoding = nil // git sends what it asks for in chunks only if it is much
		backend.ServeHTTP(w, r)
	}))
	o.t.Cleanup(s.Close)
	ca = filepath.Join(o.t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return s.URL + "/" + filepath.Base(o.bare), ca
}
