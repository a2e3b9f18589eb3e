package busd

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/repo"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// ruleNamed is a rule file with one rule.
func ruleNamed(name string) string {
	return "rules:\n  - name: " + name + "\n    on: [com.example.*]\n    run: {playbook: p.yml}\n"
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	until := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(until) {
			t.Fatalf("it did not come to this: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// activations returns those that put something in force.
func activations(t *testing.T, b *bus.Bus) (out []dispatch.Activation) {
	t.Helper()
	all, err := dispatch.Activations(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.RuleSet != "" {
			out = append(out, a)
		}
	}
	return out
}

func (p *Process) ruleInForce() string {
	p.contents.mu.Lock()
	defer p.contents.mu.Unlock()
	return p.contents.inForce.Set.Rules()[0].Name
}

// refused returns the events of refused content, and what is recorded of it.
func refused(t *testing.T, b *bus.Bus) (told []events.RulesRefused, now []dispatch.Refusal) {
	t.Helper()
	for m, err := range b.Tail(t.Context(), bus.StreamEvents, bus.EventSubject(bus.ClassOwn, events.TypeRulesRefused), bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(m.Header, m.Data)
		var data events.RulesRefused
		if err != nil || e.DataAs(&data) != nil {
			t.Fatalf("event %d: %v", m.Seq, err)
		}
		told = append(told, data)
	}
	now, err := dispatch.Refusals(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return told, now
}

// logged is a log that a test reads.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), text)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestWatch(t *testing.T) {
	t.Parallel()
	var log logged
	o := options(t)
	o.Watch, o.Logger = true, log.logger()
	p, _ := run(t, o)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Content, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules/.a.yml.swp", "what an editor leaves")
	write("rules/a.yml~", "what an editor leaves")
	now := time.Now()
	if err := os.Chtimes(filepath.Join(o.Content, "p.yml"), now, now); err != nil { // looks changed, and is not
		t.Fatal(err)
	}
	write("rules/a.yml", ruleNamed("bad name"))
	eventually(t, "a faulty set is told", func() bool { told, _ := refused(t, p.Bus); return len(told) == 1 })
	told, rec := refused(t, p.Bus)
	if r := told[0]; !strings.Contains(r.Reason, "rules/a.yml:2:11: ") || len(r.Faults) != 1 || r.From != o.Content || r.Bundle == "" || r.Content != r.Bundle ||
		r.InForce != activations(t, p.Bus)[0].RuleSet {
		t.Errorf("told %+v", r)
	}
	if len(rec) != 1 || rec[0].Bundle != told[0].Bundle {
		t.Errorf("recorded %+v", rec)
	}
	if got := p.ruleInForce(); got != "hello" || len(activations(t, p.Bus)) != 1 {
		t.Errorf("with a faulty set, rule %s is in force, of %d", got, len(activations(t, p.Bus)))
	}
	// To be asked for it again changes nothing.
	if err := p.Reload(t.Context()); err == nil {
		t.Error("a faulty set was reloaded")
	}
	write("rules/a.yml", ruleNamed("better"))
	eventually(t, "the mended set is in force", func() bool { return p.ruleInForce() == "better" })
	eventually(t, "the fault is forgotten", func() bool { _, now := refused(t, p.Bus); return len(now) == 0 })
	if told, _ := refused(t, p.Bus); len(told) != 1 {
		t.Errorf("told %d times", len(told))
	}
	// The directory goes and comes back.
	if err := os.Rename(o.Content, o.Content+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told that the directory is gone", func() bool { return log.count("content cannot be looked at") == 1 })
	if err := os.Rename(o.Content+".away", o.Content); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told that the directory is back", func() bool { return log.count("content can be read again") == 1 })
	if all := activations(t, p.Bus); len(all) != 2 || all[1].From != o.Content || all[1].Revision != "" {
		t.Errorf("activations %+v", all)
	}
}

// upstream is a repository that a test pushes to.
type upstream struct {
	t          *testing.T
	bare, work string
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		conntest.Missing(t, "git is needed")
	}
	u := &upstream{t: t, bare: filepath.Join(t.TempDir(), "content.git"), work: good(t)}
	u.git("init", "--quiet", "--initial-branch=main")
	u.git("init", "--quiet", "--bare", "--initial-branch=main", u.bare)
	u.git("remote", "add", "origin", u.bare)
	u.push("")
	return u
}

func (u *upstream) git(args ...string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), "git", args...)
	cmd.Dir = u.work
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + u.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push gives the rule another name and returns the commit.
func (u *upstream) push(rule string) string {
	u.t.Helper()
	if rule != "" {
		if err := os.WriteFile(filepath.Join(u.work, "rules/a.yml"), []byte(ruleNamed(rule)), 0o600); err != nil {
			u.t.Fatal(err)
		}
	}
	u.git("add", "--all")
	u.git("commit", "--quiet", "--allow-empty", "-m", "x")
	u.git("push", "--quiet", "--force", "origin", "HEAD:main")
	return u.git("rev-parse", "HEAD")
}

func (u *upstream) options() Options {
	o := options(u.t)
	o.Content = ""
	o.Git = &Git{Options: repo.Options{URL: u.bare, Ref: "main", Getenv: os.Getenv}, Every: 200 * time.Millisecond}
	return o
}

func TestGit(t *testing.T) {
	t.Parallel()
	var log logged
	u := newUpstream(t)
	first := u.git("rev-parse", "HEAD")
	o := u.options()
	o.Logger = log.logger()
	p, _ := run(t, o)
	last := func() dispatch.Activation {
		all := activations(t, p.Bus)
		return all[len(all)-1]
	}
	if a := last(); a.Revision != first || a.From != u.bare+" main" {
		t.Errorf("the first activation: %+v", a)
	}
	second := u.push("second")
	eventually(t, "the second commit is in force", func() bool { return last().Revision == second })
	bad := u.push("bad name")
	eventually(t, "the bad commit is told", func() bool { told, _ := refused(t, p.Bus); return len(told) > 0 })
	if told, _ := refused(t, p.Bus); told[0].Revision != bad || told[0].Content != bad || !strings.HasPrefix(told[0].Reason, "rules/a.yml:2:11: ") {
		t.Errorf("told %+v", told[0])
	}
	if p.ruleInForce() != "second" || last().Revision != second {
		t.Errorf("after a bad commit, rule %s of %s is in force", p.ruleInForce(), last().Revision)
	}
	u.git("reset", "--quiet", "--hard", first)
	third := u.push("third") // over the two before
	eventually(t, "the commit of another history is in force", func() bool { return last().Revision == third && p.ruleInForce() == "third" })
	u.push("") // a commit that changes nothing
	// The branch goes, and comes back.
	u.git("--git-dir="+u.bare, "update-ref", "-d", "refs/heads/main")
	// In whatever words: it may go while it is being fetched, and it is told once.
	eventually(t, "it is told that the branch is gone", func() bool { return log.count("content cannot be looked at") > 0 })
	fourth := u.push("fourth")
	eventually(t, "the branch is back", func() bool { return last().Revision == fourth })
	eventually(t, "it is told that the branch is back", func() bool { return log.count("content can be read again") == 1 })
	if n := log.count("content cannot be looked at"); n != 1 {
		t.Errorf("told %d times that the branch is gone", n)
	}
	if told, now := refused(t, p.Bus); len(told) != 1 || len(now) != 0 {
		t.Errorf("told %d times, recorded %+v", len(told), now)
	}
	if all := activations(t, p.Bus); len(all) != 4 {
		t.Errorf("%d activations, want 4", len(all))
	}
}

// A delivery to the hook has the repository looked at, and is an event as always.
func TestGitHook(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	o := u.options()
	o.Git.Every, o.Git.Hook = 0, "ci"
	o.Hooks = append(o.Hooks, webhook.Hook{Name: "other", Kind: webhook.CloudEvents, Secrets: [][]byte{secret}})
	p, _ := run(t, o)
	u.push("second")
	c := client(t, nil)
	if code, text := post(t, c, p.Addr.HTTP, []byte("another secret!!"), event); code != http.StatusUnauthorized {
		t.Errorf("forged: %d %s", code, text)
	}
	if n := len(p.contents.pull); n != 0 {
		t.Error("a forged delivery asks for a look")
	}
	if code, text := post(t, c, p.Addr.HTTP, secret, event); code != http.StatusAccepted {
		t.Errorf("%d %s", code, text)
	}
	eventually(t, "the second commit is in force", func() bool { return p.ruleInForce() == "second" })
	u.push("third")
	if err := p.Reload(t.Context()); err != nil || p.ruleInForce() != "third" {
		t.Errorf("reload: %v, rule %s is in force", err, p.ruleInForce())
	}
}

func TestGitStart(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	o := u.options()
	away := func(is bool) {
		t.Helper()
		from, to := u.bare+".away", u.bare
		if is {
			from, to = to, from
		}
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	away(true)
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no earlier content is on the bus") {
		t.Errorf("start without a repository: %v", err)
	}
	away(false)
	first := u.git("rev-parse", "HEAD")
	_, end := run(t, o)
	end()
	away(true)
	if err := os.RemoveAll(filepath.Join(o.Data, "content-git")); err != nil {
		t.Fatal(err)
	}
	p, stop := run(t, o)
	if got := activations(t, p.Bus); p.ruleInForce() != "hello" || len(got) != 1 || got[0].Revision != first {
		t.Errorf("without the repository, rule %s is in force, of %+v", p.ruleInForce(), got)
	}
	away(false)
	u.push("second")
	eventually(t, "the repository is back", func() bool { return p.ruleInForce() == "second" })
	stop()
	// Started on a bad commit, it goes on with what it had, and tells it once.
	bad := u.push("bad name")
	for range 2 {
		p, stop = run(t, o)
		told, now := refused(t, p.Bus)
		if p.ruleInForce() != "second" || len(told) != 1 || len(now) != 1 || now[0].Revision != bad {
			t.Errorf("on a bad commit: rule %s, told %+v, recorded %+v", p.ruleInForce(), told, now)
		}
		stop()
	}
	o = u.options()
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "rules/a.yml:2:11: ") {
		t.Errorf("a first start on a bad commit: %v", err)
	}
}

// What is pinned is in force on every jet-bus, until it is let go.
func TestPin(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, b := bustest.Start(t, bustest.Bare())
	first := external(t, s, "one")
	first.Watch = true
	change := func(rule string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(first.Content, "rules/a.yml"), []byte(ruleNamed(rule)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, stopOne := run(t, first)
	change("better")
	eventually(t, "the change is in force", func() bool { return one.ruleInForce() == "better" })
	second := external(t, s, "two")
	second.Content, second.Watch = first.Content, true
	two, _ := run(t, second)
	old := activations(t, b)[0]
	pin := dispatch.Pin{RuleSet: old.RuleSet, Bundle: old.Bundle, By: "ann", Reason: "it was worse", At: time.Now().UTC().Truncate(time.Second)}
	if err := dispatch.SetPin(ctx, b, pin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both follow", func() bool { return one.ruleInForce() == "hello" && two.ruleInForce() == "hello" })
	all := activations(t, b)
	if a := all[len(all)-1]; !a.Pinned || a.Bundle != old.Bundle {
		t.Errorf("the last activation: %+v", a)
	}
	change("newest")
	for _, p := range []*Process{one, two} {
		if err := p.Reload(ctx); err == nil || !strings.Contains(err.Error(), "it was worse: content ") || !strings.Contains(err.Error(), "by ann") {
			t.Errorf("reload what is pinned: %v", err)
		}
	}
	// Also when it starts, and when what there is has faults.
	stopOne()
	change("bad name")
	one, _ = run(t, first)
	if one.ruleInForce() != "hello" {
		t.Errorf("after a restart rule %s is in force", one.ruleInForce())
	}
	change("newest")
	if err := dispatch.Unpin(ctx, b); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both use what is newest", func() bool { return one.ruleInForce() == "newest" && two.ruleInForce() == "newest" })
	// A pin on what is not there changes nothing, and can be taken away again.
	pin.Bundle = strings.Repeat("0", 64)
	if err := dispatch.SetPin(ctx, b, pin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pin is known", func() bool { return one.unpinned() != nil })
	if one.ruleInForce() != "newest" {
		t.Errorf("rule %s is in force", one.ruleInForce())
	}
	if p, err := dispatch.Pinned(context.WithoutCancel(ctx), b); err != nil || p != pin {
		t.Errorf("pinned %+v, %v", p, err)
	}
	if err := dispatch.Unpin(ctx, b); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pin is gone", func() bool { return one.unpinned() == nil })
}

func TestContentFlags(t *testing.T) {
	t.Parallel()
	dir := good(t)
	base := "--data " + t.TempDir() + " --http 127.0.0.1:0 --listen 127.0.0.1:0 "
	for args, want := range map[string]string{
		"":                                     "say with --content which directory",
		"--content x --content-git /x":         "exclude each other",
		"--content x --content-ref main":       "--content-ref goes with --content-git",
		"--content x --content-every 10s":      "--content-every goes with --content-git",
		"--content-git /x --watch=false":       "--watch is about a directory",
		"--content-git /x --content-every 1s":  "must be 0, or 5s or more, not 1s",
		"--content-git http://x/y":             "could be changed on its way",
		"--content-git https://a:b@x/y":        "holds credentials",
		"--content-git a@b:c":                  "needs the file of a private key",
		"--content-git /x --content-hook none": `there is no webhook "none" in the webhooks file`,
		"--content " + dir + "/none":           "no such file or directory",
		"--content " + dir + "/p.yml":          "p.yml is not a directory",
	} {
		code, _, stderr := command(t, proc.Env{}, strings.Fields(base+args)...)
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, want %q\n%s", args, code, want, stderr)
		}
	}
}
