package inventory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, archive, path string
		want                []string
	}{
		{name: "missing", path: "nope", want: []string{"inventory ", "nope: no such file or directory"}},
		{name: "no groups", archive: "-- x/y --\n", path: "x", want: []string{"there is no directory groups in it"}},
		{name: "plain file", archive: "-- hosts --\n", path: "hosts", want: []string{"neither a directory nor an executable file"}},
		{name: "unknown key", archive: "-- groups/a.yml --\nhosts: []\nhots: []\n", want: []string{"groups/a.yml:2:1: unknown key \"hots\"; did you mean \"hosts\"?"}},
		{name: "list", archive: "-- groups/a --\n- h\n", want: []string{"groups/a:1:1: must be a mapping, not a list"}},
		{name: "hosts", archive: "-- groups/a --\nhosts: h\n", want: []string{`groups/a:1:8: hosts: must be a list, not "h"`}},
		{name: "empty name", archive: "-- groups/a --\nhosts: ['']\n", want: []string{`groups/a:1:9: "" is not a name of a host or group`}},
		{name: "bad names", archive: "-- groups/a --\nhosts:\n- ok\n- ' web1'\nsubgroups: [x, 'y ', [z]]\n", want: []string{
			`groups/a:3:3: " web1" is not a name of a host or group`, `groups/a:4:16: "y " is not a name`, "groups/a:4:22: must be the name of a host or group",
		}},
		{name: "tag", archive: "-- groups/a --\nhosts:\n- !x web1\n", want: []string{"groups/a:2:3: unexpected tag !x"}},
		{name: "yaml", archive: "-- groups/a.yaml --\n-- group_vars/web.yaml --\n", want: []string{
			"groups/a.yaml: only .yml files are read; rename it to a.yml", "group_vars/web.yaml: only .yml files are read; rename it to web.yml",
		}},
		{name: "subdirectory", archive: "-- groups/a/b --\n", want: []string{"groups/a: subdirectories are not read"}},
		{name: "vars", archive: "-- groups/a --\n-- group_vars/a --\n- 1\n", want: []string{"group_vars/a:1:1: variables must be a mapping"}},
		{name: "duplicate", archive: "-- groups/a --\n-- host_vars/h --\na: 1\na: 2\n", want: []string{`host_vars/h:2:1: duplicate key "a"`}},
		{
			name:    "all faults",
			archive: "-- groups/a --\nx: 1\n-- groups/b --\ny: 1\n-- group_vars/a --\n{\n",
			want:    []string{`unknown key "x"`, `unknown key "y"`, "group_vars/a:"},
		},
		{name: "exit status", archive: "-- i.sh --\n#!/bin/sh\necho '{}'; echo boom >&2; exit 3\n", path: "i.sh", want: []string{"i.sh: exit status 3; stderr: boom"}},
		{name: "no output", archive: "-- i.sh --\n#!/bin/sh\n", path: "i.sh", want: []string{"output: it printed nothing"}},
		{name: "syntax", archive: "-- i.sh --\n#!/bin/sh\nprintf '{\\n  \"a\": x}'; echo why >&2\n", path: "i.sh", want: []string{"output:2:8: invalid character 'x'", "; stderr: why"}},
		{name: "not an object", archive: "-- i.sh --\n#!/bin/sh\necho '[]'\n", path: "i.sh", want: []string{"output: must be an object of groups, not a JSON array"}},
		{name: "null", archive: "-- i.sh --\n#!/bin/sh\necho null\n", path: "i.sh", want: []string{"output: must be an object of groups, not null"}},
		{name: "more", archive: "-- i.sh --\n#!/bin/sh\necho '{}'; echo '{}'\n", path: "i.sh", want: []string{"there is more after the object"}},
		{name: "group as list", archive: "-- i.sh --\n#!/bin/sh\necho '{\"a\": [\"h\"], \"b\": {\"hots\": []}}'\n", path: "i.sh", want: []string{
			`output: group "a": the group is a JSON array`, `output: group "b": unknown field "hots"`,
		}},
		{name: "empty names", archive: "-- i.sh --\n#!/bin/sh\necho '{\"a\": {\"hosts\": [\"\"]}, \"b\": {\"hostvars\": {\"\": {}}}}'\n", path: "i.sh", want: []string{
			`group "a": the name of a host or group is empty`, `group "b": the name of a host or group is empty`,
		}},
		{name: "host number", archive: "-- i.sh --\n#!/bin/sh\necho '{\"a\": {\"hosts\": [1]}}'\n", path: "i.sh", want: []string{`group "a": hosts is a JSON number`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, tt.archive)
			_, err := Load(t.Context(), filepath.Join(dir, tt.path))
			if err == nil {
				t.Fatal("Load succeeds")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v\nwant %q", err, want)
				}
			}
		})
	}
}

const script = `
-- inv.sh --
#!/bin/sh
echo "warning: a slow cloud" >&2
test $# = 0 || exit 1
cat <<'JSON'
{
  "web": {"hosts": ["w1"], "children": ["canary"], "vars": {"port": 80, "ratio": 1.0, "l": [1], "big": 18446744073709551615}},
  "canary": {"hostvars": {"w9": {"smile": "\ud83d\ude00", "level": "script"}}},
  "_ignored": {"hosts": ["nobody"]}, "_version": 2, "_own": ["x"],
  "_meta": {"hostvars": {"w1": {"level": "script"}, "lone": {}}}
}
JSON
-- group_vars/web.yml --
port: 443
l: [2]
-- host_vars/w1.yml --
level: file
`

func TestProgram(t *testing.T) {
	t.Parallel()
	inv := load(t, filepath.Join(tree(t, script), "inv.sh"))
	if diff := cmp.Diff([]string{"lone", "w1", "w9"}, names(inv.Hosts())); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"all", "canary", "web"}, inv.Groups()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	want := map[string]any{
		"port": int64(443), "ratio": 1.0, "l": []any{int64(1), int64(2)}, "big": uint64(18446744073709551615), "level": "file",
	}
	if diff := cmp.Diff(want, vars(t, inv, "w1")); diff != "" {
		t.Errorf("variables of w1 (-want +got):\n%s", diff)
	}
	if got := vars(t, inv, "w9")["smile"]; got != "😀" {
		t.Errorf("smile = %q", got)
	}
	if h, _ := inv.Host("lone"); !cmp.Equal(h.Groups, []string{"all"}) {
		t.Errorf("groups of lone = %v", h.Groups)
	}
}

func TestProgramIsKilled(t *testing.T) {
	t.Parallel()
	dir := tree(t, "-- i.sh --\n#!/bin/sh\nexec sleep 60\n")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	defer timer.Stop()
	start := time.Now()
	_, err := Load(ctx, filepath.Join(dir, "i.sh"))
	if !errors.Is(err, cause) {
		t.Errorf("error = %v, want %v", err, cause)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("Load took %v after it was cancelled", d)
	}
}

// TestWarnings names the files of variables that nothing uses.
func TestWarnings(t *testing.T) {
	t.Parallel()
	dir := tree(t, `
-- groups/web.yml --
hosts: [w1]
-- group_vars/wbe.yml --
-- group_vars/all.yml --
-- group_vars/web.yml --
-- group_vars/databases --
-- host_vars/w1 --
-- host_vars/w2.yml --
`)
	got := strings.ReplaceAll(strings.Join(load(t, dir, dir).Warnings(), "\n"), dir+"/", "")
	want := `group_vars/databases is not used: there is no group "databases"
group_vars/wbe.yml is not used: there is no group "wbe"; did you mean "web"?
host_vars/w2.yml is not used: there is no host "w2"; did you mean "w1"?`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if w := load(t, tree(t, "-- groups/web --\n-- groups/site --\nsubgroups: [web]\n")).Warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	// A subgroup without a file is a warning, one that a program names is not.
	dir = tree(t, `
-- groups/web.yml --
hosts: [w1]
-- groups/site.yml --
subgroups: [wbe, eu]
-- i.sh --
#!/bin/sh
echo '{"eu": {"children": ["ungrouped"]}}'
`)
	want = `group "wbe", a subgroup of site, is described nowhere and has no hosts; did you mean "web"?`
	got = strings.Join(load(t, dir, filepath.Join(dir, "i.sh")).Warnings(), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings about subgroups (-want +got):\n%s", diff)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, tree(t, site)); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

// TestBrokenLink shows that a link to nothing is a fault, not an empty group.
func TestBrokenLink(t *testing.T) {
	t.Parallel()
	dir := tree(t, "-- groups/a --\n")
	if err := os.Symlink("nowhere", filepath.Join(dir, "groups", "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("error = %v", err)
	}
}

func FuzzDecodeGroups(f *testing.F) {
	f.Add([]byte(`{"a": {"hosts": ["h"], "vars": {"x": 1}, "children": ["b"], "hostvars": {"h": {"y": [1.5]}}}}`))
	f.Add([]byte(`{"a": {"children": ["a", "b"]}, "b": {"children": ["a"]}}`))
	f.Add([]byte("{\n  x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		groups, err := decodeGroups(data)
		if err != nil {
			return
		}
		b := newBuilder()
		for name, g := range groups {
			b.addProgramGroup(name, g)
		}
		inv := b.build()
		for _, h := range inv.Hosts() {
			if len(h.Groups) == 0 || h.Groups[0] != all {
				t.Errorf("groups of %q = %q, want all first", h.Name, h.Groups)
			}
			inv.Vars(h)
		}
	})
}
