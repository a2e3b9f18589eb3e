package webhook_test

import (
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

const (
	plainText = `# top
proxies: [127.0.0.1]
hooks:
  # the first
  - name: a
    kind: github
    secret_files: [a.secret] # one
    # more of a

  - name: b
    kind: gitlab
    secret_files:
      - b.secret
# the end
`
	flatText = "hooks:\n- {name: a, kind: github,\n   secret_files: [\n a.secret]}\n- name: b\n  kind: x\n  secret_files: ['it''s']\nproxies: []"
)

func TestText(t *testing.T) {
	t.Parallel()
	add := func(t *webhook.Text) error { return t.Add("c", []string{"name: c", "kind: gitea"}) }
	remove := func(name string) func(*webhook.Text) error {
		return func(t *webhook.Text) error { return t.Remove(name) }
	}
	set := func(name string, files ...string) func(*webhook.Text) error {
		return func(t *webhook.Text) error { return t.SetSecrets(name, files) }
	}
	const entry = "- name: c\n    kind: gitea\n"
	for _, tc := range []struct {
		name, text string
		do         func(*webhook.Text) error
		want       string // the text, or of an error
	}{
		{"add to nothing", "", add, "hooks:\n  " + entry},
		{"add to comments", "# none", add, "# none\nhooks:\n  " + entry},
		{"add to other keys", "proxies: []\n", add, "proxies: []\nhooks:\n  " + entry},
		{"add to null", "hooks:\nproxies: []\n", add, "hooks:\n  " + entry + "proxies: []\n"},
		{"add to an empty list", "hooks: [] # none\n", add, "hooks: # none\n  " + entry},
		{"add at the end", plainText, add, strings.Replace(plainText, "      - b.secret\n", "      - b.secret\n  "+entry, 1)},
		{"add before a key", flatText, add, strings.Replace(flatText, "proxies", "- name: c\n  kind: gitea\nproxies", 1)},
		{"add without a last newline", "hooks:\n- name: a\n  kind: x", add, "hooks:\n- name: a\n  kind: x\n- name: c\n  kind: gitea\n"},
		{"add to a flow", "hooks: [{name: a, kind: x}]\n", add, "edit it by hand"},
		{"add to a flow of all", "{hooks: []}\n", add, "edit it by hand"},
		{"add what is there", plainText, func(t *webhook.Text) error { return t.Add("a", nil) }, `there is a webhook "a" already`},
		{"add to faults", "hooks: 1\n", add, "must be a list"},

		{"remove the first", plainText, remove("a"), `# top
proxies: [127.0.0.1]
hooks:
  # the first
    # more of a

  - name: b
    kind: gitlab
    secret_files:
      - b.secret
# the end
`},
		{"remove the last", plainText, remove("b"), strings.Replace(plainText, "  - name: b\n    kind: gitlab\n    secret_files:\n      - b.secret\n", "", 1)},
		{"remove in a flow item", flatText, remove("a"), "hooks:\n- name: b\n  kind: x\n  secret_files: ['it''s']\nproxies: []"},
		{"remove all", "hooks:\n  - name: a\n    kind: x\n", remove("a"), "hooks:\n"},
		{"remove below a dash", "hooks:\n  -\n    name: a\n    kind: x\n  - {name: b, kind: x}\n", remove("a"), "hooks:\n  - {name: b, kind: x}\n"},
		{"remove nothing", plainText, remove("aa"), `there is no webhook "aa"`},
		{"remove from nothing", "", remove("a"), `there is no webhook "a"`},
		{"remove from a flow", "hooks: [{name: a, kind: x}]\n", remove("a"), "edit it by hand"},

		{"secrets in a flow", plainText, set("a", "a.secret", "it's.secret"), strings.Replace(plainText, "[a.secret]", "[a.secret, 'it''s.secret']", 1)},
		{"secrets in lines", plainText, set("b", "x", "y"), strings.Replace(plainText, "      - b.secret\n", "      - x\n      - y\n", 1)},
		{"secrets over lines", flatText, set("a", "x"), "edit it by hand"},
		{"secrets in quotes", flatText, set("b", "x"), "edit it by hand"},
		{"no secrets", "hooks:\n- {name: a, kind: x}\n", set("a", "x"), "edit it by hand"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := webhook.NewText("hooks.yml", []byte(tc.text))
			err := tc.do(text)
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "hooks.yml:") || string(text.Bytes()) != tc.text {
					t.Errorf("%v, want %q; the text is now\n%s", err, tc.want, text.Bytes())
				}
				return
			}
			if got := string(text.Bytes()); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
