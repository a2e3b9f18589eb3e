package plans

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

func TestPublished(t *testing.T) {
	t.Parallel()
	dir := contentOf(t, map[string]string{
		"rules/a.yml": "rules: [{name: one, on: com.acme.a, run: {playbook: p.yml}}, {name: two, on: com.acme.a, run: {playbook: q.yml}}]",
		"p.yml": `
- name: p
  groups: [all]
  roles: [{role: tells}]
  tasks:
    - !echo {msg: "type: com.acme.none"}
    - !publish {type: com.acme.z}
    - !block
      tasks:
        - !publish
          name: deep
          type: com.acme.b
          subject: x
  handlers:
    - !publish
      type: com.acme.handled
      with: {subscribe: done}
`,
		"q.yml":                      "- name: q\n  groups: [all]\n  tasks: [!echo {msg: x}]\n",
		"roles/tells/role.yml":       "name: tells\ntasks: [main.yml]\n",
		"roles/tells/tasks/main.yml": "- !publish\n  type: com.acme.a\n- !publish\n  type: com.acme.z\n",
		"inventory/groups/web":       "hosts: [web1]\n",
	})
	set, err := rules.Load(os.DirFS(dir), "rules")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(t.Context(), dir, set)
	if err != nil {
		t.Fatal(err)
	}
	for playbook, want := range map[string]string{
		"p.yml": "com.acme.a com.acme.b com.acme.handled com.acme.z", "q.yml": "", "none.yml": "",
	} {
		got, err := p.Published(playbook)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("%s: %s", playbook, d)
		}
	}
}
