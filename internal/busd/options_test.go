package busd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// tree writes files below a directory of the test's own, private ones unless the
// name ends in "!".
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name, open := strings.CutSuffix(name, "!")
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if open {
			if err := os.Chmod(name, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

var secrets = map[string]string{
	"good": "0123456789abcdef\n", "next": "fedcba9876543210", "short": "0123456789\n", "open!": "0123456789abcdef\n",
}

func hooks(t *testing.T, text string) (string, []webhook.Hook, error) {
	t.Helper()
	files := map[string]string{"hooks.yml": text}
	for name, s := range secrets {
		files["secrets/"+name] = s
	}
	name := filepath.Join(tree(t, files), "hooks.yml")
	got, err := LoadHooks(name)
	return name, got, err
}

func TestLoadHooks(t *testing.T) {
	t.Parallel()
	_, got, err := hooks(t, `
hooks:
  - {name: github, kind: github, secret_files: [secrets/good, secrets/next]}
  - {name: ci, kind: cloudevents, secret_files: [secrets/next]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []webhook.Hook{
		{Name: "github", Kind: webhook.GitHub, Secrets: [][]byte{[]byte("0123456789abcdef"), []byte("fedcba9876543210")}},
		{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte("fedcba9876543210")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("hooks (-want +got)\n" + diff)
	}
	if _, err := LoadHooks(filepath.Join(t.TempDir(), "hooks.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestLoadHooksFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{
			"no secret file", `hooks: [{name: a, kind: github, secret_files: [secrets/none]}]`,
			[]string{`:1:9: webhook "a": read secret: stat DIR/secrets/none: no such file or directory`},
		},
		{
			"secret for all to read", `hooks: [{name: a, kind: github, secret_files: [secrets/open]}]`,
			[]string{`:1:9: webhook "a": secret file DIR/secrets/open can be read by others; chmod 600 it`},
		},
		{
			"short secret", `hooks: [{name: a, kind: github, secret_files: [secrets/short]}]`,
			[]string{`:1:9: webhook "a": a secret is shorter than 16 bytes`},
		},
		{
			"no secret", `hooks: [{name: a, kind: github, secret_files: []}]`,
			[]string{`:1:9: webhook "a": it has no secret, anybody could send to it`},
		},
		{
			"unknown kind", `hooks: [{name: a, kind: githbu, secret_files: [secrets/good]}]`,
			[]string{`:1:9: webhook "a": kind "githbu" is none of github, gitea, forgejo, gitlab, cloudevents`},
		},
		{
			"name of two path elements", `hooks: [{name: a/b, kind: github, secret_files: [secrets/good]}]`,
			[]string{`:1:9: webhook "a/b": the name must be letters`},
		},
		{
			"twice the same name", "hooks:\n  - {name: a, kind: github, secret_files: [secrets/good]}\n  - {name: a, kind: gitlab, secret_files: [secrets/good]}\n",
			[]string{`:3:5: webhook "a": the name is taken, first given at DIR/hooks.yml:2:5`},
		},
		{
			"unknown key", "hooks:\n  - {name: a, kind: github, secrets: [x], secret_files: [secrets/good]}\n",
			[]string{`:2:29: unknown key "secrets"`},
		},
		{
			"several", "hooks:\n  - {name: a, kind: x, secret_files: [secrets/good]}\n  - {name: b, kind: github, secret_files: [secrets/short]}\n",
			[]string{`:2:5: webhook "a": kind`, `:3:5: webhook "b": a secret`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name, got, err := hooks(t, tc.text)
			if err == nil || got != nil {
				t.Fatalf("hooks %v, error %v", got, err)
			}
			text := strings.ReplaceAll(err.Error(), name, "DIR/hooks.yml")
			text = strings.ReplaceAll(text, filepath.Dir(name), "DIR")
			lines := strings.Split(text, "\n")
			if len(lines) != len(tc.want) {
				t.Fatalf("%d lines, want %d\n%s", len(lines), len(tc.want), text)
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, "DIR/hooks.yml"+tc.want[i]) {
					t.Errorf("got  %s\nwant DIR/hooks.yml%s", line, tc.want[i])
				}
			}
			for _, s := range secrets {
				if strings.Contains(text, strings.TrimSpace(s)) {
					t.Error("the error tells a secret")
				}
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.8.8.8:0": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "192.0.2.1:80": false, "example.com:80": false, "127.0.0.1": false,
		"localhost.example.com:80": false,
	} {
		if got := loopback(addr); got != want {
			t.Errorf("loopback(%q) is %v", addr, got)
		}
	}
}
