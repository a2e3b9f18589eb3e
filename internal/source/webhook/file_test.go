package webhook_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jet-bus/jet-bus/internal/source/backfill"
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

func load(t *testing.T, text string) (string, webhook.File, error) {
	t.Helper()
	files := map[string]string{"hooks.yml": text}
	for name, s := range secrets {
		files["secrets/"+name] = s
	}
	files["ca.pem"] = string(newAuthority(t).pem)
	name := filepath.Join(tree(t, files), "hooks.yml")
	got, err := webhook.Load(name)
	return name, got, err
}

func TestLoad(t *testing.T) {
	t.Parallel()
	name, got, err := load(t, `
proxies: [127.0.0.1, 10.1.2.3/8, "2001:db8::/32"]
hooks:
  - name: github
    kind: github
    secret_files: [secrets/good, secrets/next]
    repositories: [acme/*]
    allow: [192.30.252.0/22]
    per_second: 5
    burst: 20
    max_body: 1MiB
    backfill: {repository: acme/app, hook: 12345, token_file: secrets/good}
  - {name: ci, kind: cloudevents, secret_files: [secrets/next]}
  - name: org
    kind: github
    secret_files: [secrets/good]
    backfill: {organization: acme, hook: 1, token_file: secrets/next, base_url: "https://ghe.example/api/v3/", every: 10m}
  - {name: partner, kind: cloudevents, client_certificates: {ca_file: ca.pem, names: ["*.partner.example"]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(name)
	want := webhook.File{
		Hooks: []webhook.Hook{
			{
				Name: "github", Kind: webhook.GitHub, Secrets: [][]byte{[]byte("0123456789abcdef"), []byte("fedcba9876543210")},
				Repositories: []string{"acme/*"}, Allow: []netip.Prefix{netip.MustParsePrefix("192.30.252.0/22")},
				PerSecond: 5, Burst: 20, MaxBody: 1 << 20,
			},
			{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte("fedcba9876543210")}},
			{Name: "org", Kind: webhook.GitHub, Secrets: [][]byte{[]byte("0123456789abcdef")}},
			{Name: "partner", Kind: webhook.CloudEvents, Clients: &webhook.Clients{Names: []string{"*.partner.example"}}},
		},
		Proxies: []netip.Prefix{
			netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
		},
		Backfills: []backfill.Entry{
			{
				Hook: "github", Repository: "acme/app", HookID: 12345, TokenFile: dir + "/secrets/good",
			},
			{
				Hook: "org", Organization: "acme", HookID: 1, TokenFile: dir + "/secrets/next", BaseURL: "https://ghe.example/api/v3/",
				Every: 10 * time.Minute,
			},
		},
		Files: []string{
			dir + "/secrets/good", dir + "/secrets/next", dir + "/secrets/good", dir + "/secrets/next", dir + "/secrets/good",
			dir + "/secrets/next", dir + "/ca.pem",
		},
	}
	same := cmp.Options{cmpopts.IgnoreFields(webhook.Clients{}, "CAs"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error("file (-want +got)\n" + diff)
	}
	if cas := got.Hooks[3].Clients.CAs; cas == nil || len(cas.Subjects()) != 1 { //nolint:staticcheck // the pool is not the system's
		t.Error("the certificate is not read")
	}
	if _, err := webhook.Load(filepath.Join(t.TempDir(), "hooks.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, text := range []string{"hooks: []", "hooks:\n"} {
		if _, got, err := load(t, text); err != nil || len(got.Hooks) != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{
			"no secret file", `hooks: [{name: a, kind: github, secret_files: [secrets/none]}]`,
			[]string{`:1:48: webhook "a": read secret: stat DIR/secrets/none: no such file or directory`},
		},
		{
			"secret for all to read", `hooks: [{name: a, kind: github, secret_files: [secrets/open]}]`,
			[]string{`:1:48: webhook "a": secret file DIR/secrets/open can be read by others; chmod 600 it`},
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
			[]string{`:1:9: webhook "a": kind "githbu" is none of github, `},
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
			"several", "hooks:\n  - {name: a, kind: x, secret_files: [secrets/good, secrets/none]}\n  - {name: b, kind: github, secret_files: [secrets/short]}\n",
			[]string{`:2:53: webhook "a": read secret`, `:3:5: webhook "b": a secret`},
		},
		{
			"addresses", "proxies: [here]\nhooks:\n  - {name: a, kind: github, secret_files: [secrets/good], allow: [1.2.3.0/33]}\n",
			[]string{`:1:11: proxies: "here" is no address such as`, `:3:67: allow: "1.2.3.0/33" is no address`},
		},
		{
			"limits", "hooks:\n  - {name: a, kind: github, secret_files: [secrets/good], per_second: 0}\n" +
				"  - {name: b, kind: github, secret_files: [secrets/good], burst: -1}\n" +
				"  - {name: c, kind: github, secret_files: [secrets/good], max_body: 26MiB}\n" +
				"  - {name: d, kind: github, secret_files: [secrets/good], max_body: much}\n",
			[]string{
				`:2:5: webhook "a": per_second and burst must be 1 to`, `:3:5: webhook "b": per_second and burst`,
				`:4:69: webhook "c": max_body must be 1 byte to 25 MiB`, `:5:69: webhook "d": max_body must be a size such as`,
			},
		},
		{
			"repositories", "hooks:\n  - {name: a, kind: cloudevents, secret_files: [secrets/good], repositories: [a/b]}\n" +
				"  - {name: b, kind: github, secret_files: [secrets/good], repositories: ['[']}\n",
			[]string{`:2:5: webhook "a": `, `:3:5: webhook "b": repository pattern "[" must be like`},
		},
		{
			"certificates", "hooks:\n  - {name: a, kind: cloudevents, client_certificates: {ca_file: none.pem}}\n" +
				"  - {name: b, kind: cloudevents, client_certificates: {ca_file: secrets/good}}\n" +
				"  - {name: c, kind: github, secret_files: [secrets/good], client_certificates: {ca_file: ca.pem}}\n",
			[]string{
				`:2:65: webhook "a": read certificates: open DIR/none.pem: no such file`,
				`:3:65: webhook "b": read certificates: there is none in DIR/secrets/good`, `:4:5: webhook "c": `,
			},
		},
		{
			"backfill", "hooks:\n  - {name: a, kind: gitea, secret_files: [secrets/good], backfill: {repository: a/b, hook: 1, token_file: secrets/good}}\n" +
				"  - {name: b, kind: github, secret_files: [secrets/good], backfill: {hook: 1, token_file: secrets/good}}\n" +
				"  - {name: c, kind: github, secret_files: [secrets/good], backfill: {repository: a, hook: 1, token_file: secrets/none}}\n" +
				"  - {name: d, kind: github, secret_files: [secrets/good], backfill: {repository: a/b, hook: -1, token_file: secrets/good, every: 1s, base_url: here}}\n",
			[]string{
				`:2:68: webhook "a": backfill: it is for kind github`, `:3:69: webhook "b": backfill: it needs a repository, or an organization`,
				`:4:69: webhook "c": backfill: "a" is no repository, such as acme/app`, `:4:106: webhook "c": backfill: read secret: stat`,
				`:5:69: webhook "d": backfill: base_url is no address of an API`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name, got, err := load(t, tc.text)
			if err == nil || got.Hooks != nil {
				t.Fatalf("file %v, error %v", got, err)
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
