package repo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		o    Options
		want string // in the error; empty: none
	}{
		{Options{URL: "https://git.example.com/a/b.git"}, ""},
		{Options{URL: "ssh://git@git.example.com:2222/a/b", SSHKey: "k"}, ""},
		{Options{URL: "git@git.example.com:a/b.git", SSHKey: "k"}, ""},
		{Options{URL: "/srv/content.git"}, ""},
		{Options{URL: "https://x", Ref: "refs/heads/a/b", Path: "a/b/"}, ""},
		{Options{URL: "file:///srv/x"}, "not by file://"},
		{Options{URL: "http://x/y"}, "could be changed on its way"},
		{Options{URL: "git://x/y"}, "could be changed on its way"},
		{Options{URL: "ext::sh -c true"}, "is not the address"},
		{Options{URL: "ext::true"}, "is not the address"},
		{Options{URL: "--upload-pack=true"}, "is not the address"},
		{Options{URL: "ssh://-oProxyCommand=x/y", SSHKey: "k"}, "is not the address"},
		{Options{URL: "-oProxyCommand=x:y", SSHKey: "k"}, "is not the address"},
		{Options{URL: "relative/path"}, "is not the address"},
		{Options{URL: "https:///nohost"}, "is not the address"},
		{Options{URL: "https://user:s3cret@x/y"}, "holds credentials"},
		{Options{URL: "https://s3cret@x/y"}, "holds credentials"},
		{Options{URL: "ssh://user:s3cret@x/y", SSHKey: "k"}, "holds credentials"},
		{Options{URL: "https://user:s3cret@x/%zz"}, "cannot be read"},
		{Options{URL: "https://x", Ref: "-x"}, "not the name of a branch"},
		{Options{URL: "https://x", Ref: "a..b"}, "not the name of a branch"},
		{Options{URL: "https://x", Ref: "a:b"}, "not the name of a branch"},
		{Options{URL: "https://x", Path: "../x"}, "not a directory in the repository"},
		{Options{URL: "https://x", Path: "a/../../x"}, "not a directory in the repository"},
		{Options{URL: "https://x", Path: "/x"}, "not a directory in the repository"},
		{Options{URL: "a@b:c"}, "needs the file of a private key"},
		{Options{URL: "https://x", SSHKey: "k"}, "for a repository over SSH"},
		{Options{URL: "a@b:c", SSHKey: "k", TokenFile: "t"}, "for a repository over HTTPS"},
		{Options{URL: "a@b:c", SSHKey: `a" -o x`}, "would not take as they are"},
	} {
		if tc.o.Ref == "" {
			tc.o.Ref = "main"
		}
		tc.o.Dir = "/tmp/x"
		_, err := New(tc.o)
		switch {
		case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%+v: %v, want %q", tc.o, err, tc.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%+v: %v tells a secret", tc.o, err)
		}
	}
}

// What was committed is what is read, whatever the repository says of itself.
func TestCheckout(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	sub := newOrigin(t)
	o.git("config", "core.autocrlf", "false")
	if err := os.Symlink("a.yml", filepath.Join(o.work, "rules/link.yml")); err != nil {
		t.Fatal(err)
	}
	o.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", sub.bare, "sub")
	o.git("update-index", "--add", "--chmod=+x", "rules/a.yml")
	if err := os.Chmod(filepath.Join(o.work, "rules/a.yml"), 0o700); err != nil {
		t.Fatal(err)
	}
	commit := o.push(map[string]string{
		".gitattributes":  "*.txt eol=crlf\n*.yml export-ignore export-subst\n",
		"deep/er/x y.txt": "one\ntwo\n", "deep/er/ü\tz": "$Format:%H$", "empty": "",
	})
	r := o.open(nil)
	fetch(t, r, commit)
	want := map[string]string{
		".gitattributes": "*.txt eol=crlf\n*.yml export-ignore export-subst\n", ".gitmodules": files(t, r, commit)[".gitmodules"],
		"deep/er/x y.txt": "one\ntwo\n", "deep/er/ü\tz": "$Format:%H$", "empty": "",
		"rules/a.yml": "rules: []\n (program)", "rules/link.yml": "-> a.yml",
	}
	if diff := cmp.Diff(want, files(t, r, commit)); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}

	deep := o.open(func(o *Options) { o.Path = "deep" })
	fetch(t, deep, commit)
	if diff := cmp.Diff(map[string]string{"er/x y.txt": "one\ntwo\n", "er/ü\tz": "$Format:%H$"}, files(t, deep, commit)); diff != "" {
		t.Errorf("files of a directory (-want +got)\n%s", diff)
	}
	for path, why := range map[string]string{"none": "it has no directory none", "empty": "it has no directory empty"} {
		r := o.open(func(o *Options) { o.Path = path })
		fetch(t, r, commit)
		err := r.Checkout(t.Context(), commit, t.TempDir())
		if _, unfit := errors.AsType[UnfitError](err); !unfit || !strings.Contains(err.Error(), why) {
			t.Errorf("path %s: %v", path, err)
		}
	}
	if err := r.Checkout(t.Context(), strings.Repeat("0", 40), t.TempDir()); err == nil {
		t.Error("a commit that is not there was checked out")
	}
}

// More than a bundle may hold is refused before anything is written.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	var in strings.Builder
	in.WriteString("commit refs/heads/many\ncommitter a <a@example.com> 1 +0000\ndata 1\nx\n")
	for i := range 10_001 {
		fmt.Fprintf(&in, "M 100644 inline f%d\ndata 1\nx\n", i)
	}
	fmt.Fprintf(&in, "commit refs/heads/large\ncommitter a <a@example.com> 1 +0000\ndata 1\nx\nM 100644 inline f\ndata %d\n%s\n", 64<<20+1, strings.Repeat("x", 64<<20+1))
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = o.bare, strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for ref, why := range map[string]string{"many": "one file too many, content holds at most 10000", "large": "f (67108865 bytes) makes it larger than"} {
		r := o.open(func(o *Options) { o.Ref = ref })
		commit, err := r.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		err = r.Checkout(t.Context(), commit, dir)
		if _, unfit := errors.AsType[UnfitError](err); !unfit || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", ref, err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
			t.Errorf("%s: %d files written, %v", ref, len(list), err)
		}
	}
}

// A branch moves on, and back; a tag of its name is no branch; it goes.
func TestFetch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.git("rev-parse", "HEAD")
	r := o.open(nil)
	fetch(t, r, first)
	fetch(t, r, first)
	second := o.push(map[string]string{"rules/a.yml": "two"})
	fetch(t, r, second)
	if got := files(t, r, second)["rules/a.yml"]; got != "two" {
		t.Errorf("the second commit has %q", got)
	}
	// Somebody rewrites history.
	o.git("reset", "--quiet", "--hard", first)
	third := o.push(map[string]string{"rules/a.yml": "three"}, "--force")
	fetch(t, r, third)
	o.git("reset", "--quiet", "--hard", first)
	o.git("push", "--quiet", "--force", "origin", "HEAD")
	fetch(t, r, first)

	o.git("tag", "-a", "-m", "x", "main", third)
	o.git("push", "--quiet", "origin", "refs/tags/main", third+":refs/heads/release/1")
	fetch(t, r, first)
	fetch(t, o.open(func(o *Options) { o.Ref = "refs/tags/main" }), third)
	fetch(t, o.open(func(o *Options) { o.Ref = "release/1" }), third)
	fetch(t, o.open(func(o *Options) { o.Ref = first }), first)

	o.at(o.bare, "update-ref", "-d", "refs/heads/release/1")
	gone := o.open(func(o *Options) { o.Ref = "release/1" })
	if _, err := gone.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "has no branch and no tag release/1") {
		t.Errorf("a branch that is gone: %v", err)
	}

	// What a git that was killed leaves, and a clone that is damaged.
	for _, name := range []string{"shallow.lock", "refs/jet/fetched.lock", "objects/pack/tmp_pack_x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(r.o.Dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.o.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fourth := o.push(map[string]string{"rules/a.yml": "four"})
	fetch(t, r, fourth)
	if err := os.RemoveAll(filepath.Join(r.o.Dir, "refs")); err != nil {
		t.Fatal(err)
	}
	fetch(t, r, fourth)
	if got := files(t, r, fourth)["rules/a.yml"]; got != "four" {
		t.Errorf("the fourth commit has %q", got)
	}
	packs, err := filepath.Glob(filepath.Join(r.o.Dir, "objects/pack/*"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	for _, p := range packs {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	err = r.Checkout(t.Context(), fourth, t.TempDir())
	if _, unfit := errors.AsType[UnfitError](err); err == nil || unfit {
		t.Errorf("checkout of a damaged clone: %v", err)
	}
	fetch(t, r, fourth)
	if got := files(t, r, fourth)["rules/a.yml"]; got != "four" {
		t.Errorf("after damage, the fourth commit has %q", got)
	}
	if err := os.Rename(o.bare, o.bare+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "does not appear to be a git repository") {
		t.Errorf("a repository that is away: %v", err)
	}
}

// Many fetches leave no more than a few.
func TestTidy(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	r := o.open(nil)
	for i := range manyPacks + 2 {
		fetch(t, r, o.push(map[string]string{"rules/a.yml": fmt.Sprint(i)}))
	}
	packs, err := filepath.Glob(filepath.Join(r.o.Dir, "objects/pack/*.pack"))
	if err != nil || len(packs) == 0 || len(packs) > 5 {
		t.Errorf("%d packs, %v", len(packs), err)
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	head := o.git("rev-parse", "HEAD")
	const token = "ghp-s3cret/+="
	url, ca := o.serve("x-access-token", token)
	file := func(text string, mode os.FileMode) string {
		name := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := file(token+"\n", 0o600)
	r := o.open(func(o *Options) { o.URL, o.CA, o.TokenFile = url, ca, good })
	fetch(t, r, head)
	fetch(t, r, o.push(map[string]string{"x": "y"}))
	fetch(t, o.open(func(o *Options) { o.URL, o.CA, o.TokenFile = url, ca, file("x-access-token:"+token, 0o600) }), o.git("rev-parse", "HEAD"))
	for _, tc := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.TokenFile = file("another", 0o600) }, "the repository refuses the token in "},
		{func(o *Options) { o.TokenFile = "" }, "asks for a login, and there is no token"},
		{func(o *Options) { o.TokenFile = file(token, 0o644) }, "can be read by others; chmod 600 it"},
		{func(o *Options) { o.TokenFile = file("", 0o600) }, "must hold one line"},
		{func(o *Options) { o.TokenFile = file("a\nb: c", 0o600) }, "must hold one line"},
		{func(o *Options) { o.TokenFile = "/nowhere/token" }, "no such file"},
		{func(o *Options) { o.CA = "" }, "certificate"},
		{func(o *Options) { o.URL = strings.Replace(url, "/origin", "/moved/origin", 1) }, "301"},
		{func(o *Options) { o.URL = url + "x" }, "not found"},
	} {
		r := o.open(func(o *Options) {
			o.URL, o.CA, o.TokenFile = url, ca, good
			tc.change(o)
		})
		if _, err := r.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), token) {
			t.Errorf("want %q: %v", tc.want, err)
		}
	}
	// Nothing of the token stays behind.
	out, err := exec.CommandContext(t.Context(), "grep", "-rl", "-e", "s3cret", "-e", "extraHeader", "-i", r.o.Dir).CombinedOutput()
	if len(out) > 0 {
		t.Errorf("the token is in the clone: %s, %v", out, err)
	}
}

// The token is in no argument, and nothing of the user's configuration counts.
func TestOnlyWhatIsGiven(t *testing.T) { // not parallel: it changes the environment
	o := newOrigin(t)
	url, ca := o.serve("x-access-token", "s3cret-token")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s\nenv | grep -v -e GIT_CONFIG_VALUE -e ^_= >>%s\nexec %s \"$@\"\n", log, log, real)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	config := "[url \"/nowhere/\"]\n\tinsteadOf = https://\n[core]\n\tsshCommand = false\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	head := o.git("rev-parse", "HEAD")
	t.Setenv("HOME", home)
	t.Setenv("GIT_TRACE_CURL", "1")
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	r := o.open(func(o *Options) { o.URL, o.CA, o.TokenFile = url, ca, token })
	fetch(t, r, head)
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "ls-remote") || !strings.Contains(string(text), "fetch --quiet --depth=1") {
		t.Errorf("the log has not what it should: %v\n%s", err, text)
	}
	for _, bad := range []string{"s3cret", "czNjcmV0", "x-access-token", "TRACE", home} {
		if strings.Contains(string(text), bad) {
			t.Errorf("git was told %q\n%s", bad, text)
		}
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	o := newOrigin(t)
	head := o.git("rev-parse", "HEAD")
	url := fmt.Sprintf("ssh://%s@%s%s", s.User, s.Addr, o.bare)
	known := filepath.Join(t.TempDir(), "it's known") // a name for the shell to stumble over
	text, err := os.ReadFile(s.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(known, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := o.open(func(o *Options) { o.URL, o.SSHKey, o.KnownHosts = url, s.KeyFile, known })
	fetch(t, r, head)
	if got := files(t, r, head)["rules/a.yml"]; got != "rules: []\n" {
		t.Errorf("over SSH: %q", got)
	}
	empty, other := filepath.Join(t.TempDir(), "known"), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	conntest.WriteKey(t, other)
	for _, tc := range []struct{ key, known, want string }{
		{s.KeyFile, empty, "the host's key is not known, or is another"},
		{other, known, "Permission denied"},
	} {
		r := o.open(func(o *Options) { o.URL, o.SSHKey, o.KnownHosts = url, tc.key, tc.known })
		if _, err := r.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("want %q: %v", tc.want, err)
		}
	}
}
