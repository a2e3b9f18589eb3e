package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
	"github.com/jet-bus/jet-bus/test/releases"
)

// appRepository is what examples/auto-upgrade watches.
const appRepository = "acme/app"

// upgrades is an installation of examples/auto-upgrade: three hosts, a git host, and
// somebody who is told.
type upgrades struct {
	*site
	hosts []lab.Host
	git   *gitHost
	ops   *pager
}

// TestAutoUpgrade is the example as a user would set it up, with releases of an app
// that is built here: good ones, one that is broken, a prerelease, an old line's.
func TestAutoUpgrade(t *testing.T) {
	t.Parallel()
	u := newUpgrades(t)
	u.git.publish(appRelease(t, "v1.0.0", ""))
	u.install(t, "v1.0.0")
	u.startBus(t, "--hooks", filepath.Join(u.data, "hooks.yml"))
	u.startRunner(t, "r1")
	u.poll(t) // what is there already is no news
	if n := len(list[any](t, u.site, "jobs")); n != 0 {
		t.Fatalf("%d jobs before the first release", n)
	}

	var first string
	t.Run("release", func(t *testing.T) {
		u.git.publish(appRelease(t, "v1.1.0", ""))
		first = id(u.git.push(t))
		j := u.succeeded(t, first)
		u.runs(t, "v1.1.0", "v1.1.0", "v1.1.0")
		u.ops.hears(t, "The app was upgraded", j.ID)
		var order []string
		for _, r := range u.watched(t, j.ID) {
			if r.Task == "Install the release" {
				order = append(order, r.Host)
			}
		}
		if want := []string{u.hosts[0].Name, u.hosts[1].Name, u.hosts[2].Name}; !slices.Equal(order, want) {
			t.Errorf("the hosts came in the order %v, want %v", order, want)
		}
	})
	t.Run("told again", func(t *testing.T) {
		for range 2 {
			if again := u.git.replay(t, "v1.1.0"); id(again) != first {
				t.Errorf("the delivery again is answered with %v", again)
			}
		}
		u.poll(t) // the watcher sees it too
		u.judged(t)
		if all := u.jobs(t, first); len(all) != 1 {
			t.Errorf("the release made %d jobs", len(all))
		}
	})
	t.Run("prerelease", func(t *testing.T) {
		r := appRelease(t, "v1.2.0-rc.1", "")
		r.Flagged = true
		u.git.publish(r)
		u.ignored(t, id(u.git.push(t)))
	})
	t.Run("broken", func(t *testing.T) {
		// Nobody tells of it: the watcher finds it.
		u.git.publish(appRelease(t, "v1.2.0", "it was built on a Friday"))
		u.poll(t)
		event := fmt.Sprintf("release:%.0f:published", u.git.release(t, "v1.2.0")["id"])
		j := u.job(t, event, "failed", func(j queue.Job) bool { return j.State == queue.Failed })
		u.runs(t, "v1.1.0", "v1.1.0", "v1.1.0")
		u.ops.hears(t, "The app was not upgraded", j.ID)
		touched := map[string]bool{}
		out := u.jet(t, "jobs", "watch", j.ID, "--json")
		if out.Code != 1 {
			t.Errorf("jet jobs watch of a job that failed: exit code %d: %s", out.Code, out.Stderr)
		}
		for _, r := range results(t, strings.Split(out.Stdout, "\n")) {
			touched[r.Host] = true
		}
		if len(touched) != 1 || !touched[u.hosts[0].Name] {
			t.Errorf("hosts that were touched: %v", touched)
		}
	})
	t.Run("mended", func(t *testing.T) {
		u.git.publish(appRelease(t, "v1.2.1", ""))
		u.succeeded(t, id(u.git.push(t)))
		u.runs(t, "v1.2.1", "v1.2.1", "v1.2.1")
	})
	t.Run("old line", func(t *testing.T) {
		u.git.publish(appRelease(t, "v1.1.1", ""))
		u.ignored(t, id(u.git.push(t)))
		u.runs(t, "v1.2.1", "v1.2.1", "v1.2.1")
	})
}

func newUpgrades(t *testing.T) *upgrades {
	t.Helper()
	hosts := lab.Hosts(t, 3)
	u := &upgrades{site: newSite(t, nil), hosts: hosts, git: newGitHost(t, appRepository), ops: newPager(t)}
	u.knownHosts = hosts[0].KnownHosts
	must(t, os.RemoveAll(u.content))
	must(t, os.CopyFS(u.content, os.DirFS("../../examples/auto-upgrade")))
	// What the README has people write: hosts, the site, whom to tell.
	inventory := filepath.Join(u.content, "inventory")
	writeInventory(t, inventory, hosts)
	must(t, os.Rename(filepath.Join(inventory, "groups", "web"), filepath.Join(inventory, "groups", "app.yml")))
	write(t, filepath.Join(inventory, "group_vars", "app.yml"),
		fmt.Sprintf("app_port: 8080\napp_provider: gitea\napp_site: %s\n", u.git.site.URL))
	u.edit(t, "sources.yml", "provider: github ", "provider: gitea\n      base_url: "+u.git.site.URL+" ")
	u.edit(t, "notify.yml", "https://hooks.example.com/ops", u.ops.url)
	must(t, os.Remove(filepath.Join(u.data, "hooks.yml")))
	out := u.jet(t, "webhooks", "add", "gitea", "app", "--repo", appRepository)
	if out.Code != 0 {
		t.Fatalf("jet webhooks add: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	for _, what := range []string{"check", "test"} {
		if out := u.jet(t, "rules", what, u.content); out.Code != 0 {
			t.Fatalf("jet rules %s: exit code %d: %s%s", what, out.Code, out.Stdout, out.Stderr)
		}
	}
	return u
}

// edit replaces a text in a file of the content.
func (u *upgrades) edit(t *testing.T, name, from, to string) {
	t.Helper()
	name = filepath.Join(u.content, name)
	text, err := os.ReadFile(name)
	must(t, err)
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s does not have %q", name, from)
	}
	write(t, name, strings.Replace(string(text), from, to, 1))
}

// startBus starts the bus, and has the git host tell it.
func (u *upgrades) startBus(t *testing.T, more ...string) {
	t.Helper()
	u.site.startBus(t, more...)
	text, err := os.ReadFile(filepath.Join(u.data, "app.secret"))
	must(t, err)
	u.git.tells(t, u.addr.HTTP+"/hooks/app", strings.TrimSpace(string(text)))
}

// install brings a release to the hosts by hand, twice: the second run changes nothing.
func (u *upgrades) install(t *testing.T, tag string) {
	t.Helper()
	for again := range 2 {
		out := process.Run(t, process.Environment(u.home), "jet", "run", filepath.Join(u.content, "playbooks", "upgrade.yml"),
			"-i", filepath.Join(u.content, "inventory"), "--known-hosts", u.knownHosts, "--json", "-e", `{"version": "`+tag+`"}`)
		rs := results(t, strings.Split(out.Stdout, "\n"))
		if n := len(changed(rs)); out.Code != 0 || (n == 0) != (again == 1) {
			t.Fatalf("run %d: exit code %d, changed %v: %s%s", again+1, out.Code, changed(rs), out.Stderr, out.Stdout)
		}
	}
	u.runs(t, tag, tag, tag)
}

// poll has the watcher look now, and waits until it has.
func (u *upgrades) poll(t *testing.T) {
	t.Helper()
	if out := u.jet(t, "sources", "poll", "app-releases", "--wait"); out.Code != 0 {
		t.Fatalf("jet sources poll: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
}

// judged waits until all that came has been judged.
func (u *upgrades) judged(t *testing.T) {
	t.Helper()
	marker := u.publish(t, "com.example.marker", `{}`)
	process.Eventually(t, "the judgement of the marker", func() bool {
		out := u.jet(t, "why", marker.ID, "upgrade", "--json")
		return out.Code == 0
	})
}

// ignored checks that an event makes no job.
func (u *upgrades) ignored(t *testing.T, event string) {
	t.Helper()
	before := len(list[any](t, u.site, "jobs"))
	process.Eventually(t, "why the event made no job", func() bool {
		out := u.jet(t, "why", event, "upgrade")
		return out.Code == 0 && strings.Contains(out.Stdout, "not fired")
	})
	if after := len(list[any](t, u.site, "jobs")); after != before {
		t.Errorf("event %s made %d jobs", event, after-before)
	}
}

// runs checks which versions the hosts run, by asking the app itself.
func (u *upgrades) runs(t *testing.T, want ...string) {
	t.Helper()
	for i, h := range u.hosts {
		if got := on(t, h, "curl", "-sS", "http://127.0.0.1:8080/health"); !strings.Contains(got, `"`+want[i]+`"`) {
			t.Errorf("the app on %s says %s, want %s", h.Name, got, want[i])
		}
	}
}

// id is the event's id in the answer to a delivery.
func id(answer map[string]any) string {
	s, _ := answer["id"].(string)
	return s
}

// appRelease builds a release of the app, which has a fault unless that is empty.
func appRelease(t *testing.T, tag, fault string) releases.Release {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app")
	flags := fmt.Sprintf("-s -w -X main.version=%s -X 'main.broken=%s'", tag, fault)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", flags, "-o", file, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the app: %v: %s", err, out)
	}
	program, err := os.ReadFile(file)
	must(t, err)
	return releases.Release{Tag: tag, Files: []releases.Asset{{Name: "app-linux-amd64", Content: program}}}
}

// pager is somebody who is told.
type pager struct {
	url   string
	mu    sync.Mutex
	texts []string
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := new(pager)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.texts = append(p.texts, string(text))
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// hears waits until one message holds all parts.
func (p *pager) hears(t *testing.T, parts ...string) {
	t.Helper()
	process.Eventually(t, "a message with "+strings.Join(parts, ", "), func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.texts, func(text string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
		})
	})
}
