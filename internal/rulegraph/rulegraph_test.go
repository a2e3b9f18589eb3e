package rulegraph_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/jet-bus/jet-bus/internal/rulegraph"
	"github.com/jet-bus/jet-bus/rules"
)

var update = flag.Bool("update", false, "rewrite what the archives in testdata want")

func load(t *testing.T, data []byte) *rules.Set {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{"rules/a.yml": {Data: data}}, "rules")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// golden compares the files of an archive, but for the first, with what is made of
// that one: a rule file.
func golden(t *testing.T, name string, files func(*rules.Set) []txtar.File) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := files(load(t, archive.Files[0].Data))
	if *update {
		archive.Files = append(archive.Files[:1], got...)
		if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(text(archive.Files[1:]), text(got)); d != "" {
		t.Error(d)
	}
}

func text(files []txtar.File) string { return string(txtar.Format(&txtar.Archive{Files: files})) }

func TestExplain(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/explain.txtar", func(set *rules.Set) []txtar.File {
		var out []txtar.File
		for _, r := range set.Rules() {
			out = append(out, txtar.File{Name: r.Name, Data: []byte(rulegraph.Explain(set, r).String())})
		}
		return out
	})
}

// published is what the playbooks of the archive publish.
func published(playbook string) []string {
	if playbook == "deploy.yml" {
		return []string{"com.acme.deployed"}
	}
	return nil
}

func TestGraph(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/graph.txtar", func(set *rules.Set) []txtar.File {
		g := rulegraph.Build(set, published)
		return []txtar.File{
			{Name: "text", Data: []byte(g.Text())},
			{Name: "dot", Data: []byte(g.DOT())},
			{Name: "mermaid", Data: []byte(g.Mermaid())},
		}
	})
}

func TestLoops(t *testing.T) {
	t.Parallel()
	rule := func(name, on, publishes, more string) string {
		return fmt.Sprintf("  - {name: %s, on: %q, publish: {type: %s}%s}\n", name, on, publishes, more)
	}
	for name, tc := range map[string]struct {
		rules []string
		want  []string
	}{
		"none":      {[]string{rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.c", "")}, nil},
		"itself":    {[]string{rule("a", "x.a", "x.a", "")}, []string{"a -> x.a -> a"}},
		"by prefix": {[]string{rule("a", "x.*", "x.a", "")}, []string{"a -> x.a -> a"}},
		"not below": {[]string{rule("a", "x.a.*", "x.a", "")}, nil},
		"three": {
			[]string{rule("c", "x.c", "x.a", ""), rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.c", "")},
			[]string{"a -> x.b -> b -> x.c -> c -> x.a -> a"},
		},
		"the shortest": {
			[]string{rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.c", ""), rule("c", "x.c", "x.a", ""), rule("d", "x.b", "x.a", "")},
			[]string{"a -> x.b -> d -> x.a -> a"},
		},
		"two":           {[]string{rule("a", "x.a", "x.a", ""), rule("b", "x.b", "x.b", "")}, []string{"a -> x.a -> a", "b -> x.b -> b"}},
		"one group":     {[]string{rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.a", ""), rule("c", "x.a", "x.b", "")}, []string{"a -> x.b -> b -> x.a -> a"}},
		"leads to one":  {[]string{rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.b", "")}, []string{"b -> x.b -> b"}},
		"disabled":      {[]string{rule("a", "x.a", "x.a", ", enabled: false")}, nil},
		"a shadow":      {[]string{rule("a", "x.a", "x.b", ""), rule("b", "x.b", "x.a", ", shadow: true")}, nil},
		"through facts": {[]string{"  - {name: a, on: x.a, condition: kv.n > 1, set: {n: 1}}\n"}, nil},
		"by a playbook": {[]string{"  - {name: a, on: com.acme.*, run: {playbook: deploy.yml}}\n"}, []string{"a -> deploy.yml -> com.acme.deployed -> a"}},
		"by its jobs": {
			[]string{"  - {name: a, on: dev.jet-bus.job.failed.v1, condition: event.data.rule != \"b\", run: {playbook: p.yml}}\n"},
			[]string{"a -> p.yml -> dev.jet-bus.job.failed.v1 -> a"},
		},
		"by jobs of all kinds": {
			[]string{"  - {name: a, on: dev.jet-bus.job.*, run: {playbook: p.yml}}\n"},
			[]string{"a -> p.yml -> dev.jet-bus.job.queued.v1 -> a"},
		},
		"by the jobs of another": {
			[]string{
				"  - {name: a, on: x.a, run: {playbook: a.yml}}\n",
				"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\" && event.data.attempt > 1, run: {playbook: b.yml}}\n",
			},
			nil,
		},
		"by the jobs of another, and all are told": {
			[]string{
				"  - {name: a, on: x.a, run: {playbook: a.yml}}\n",
				"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\", run: {playbook: b.yml}}\n",
				"  - {name: c, on: dev.jet-bus.job.failed.v1, notify: {to: ops, text: x}}\n",
			},
			nil,
		},
		"by the jobs of another with the same playbook": {
			[]string{
				"  - {name: a, on: x.a, run: {playbook: p.yml}}\n",
				"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\", run: {playbook: p.yml}}\n",
			},
			nil,
		},
		"by the jobs of one that is off": {
			[]string{
				"  - {name: a, enabled: false, on: x.a, run: {playbook: p.yml}}\n",
				"  - {name: c, on: x.c, run: {playbook: p.yml}}\n",
				"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\", publish: {type: x.c}}\n",
			},
			nil,
		},
		"by the jobs of two": {
			[]string{
				"  - {name: a, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"retry-or-fail\", run: {playbook: a.yml}}\n",
				"  - {name: retry-or-fail, on: dev.jet-bus.job.dead.v1, condition: event.data.rule == 'a', run: {playbook: b.yml}}\n",
			},
			[]string{"a -> a.yml -> dev.jet-bus.job.dead.v1 -> retry-or-fail -> b.yml -> dev.jet-bus.job.failed.v1 -> a"},
		},
		"by jobs and a pipe": {
			[]string{"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\" && event.id | hasPrefix(\"x\"), run: {playbook: b.yml}}\n"},
			[]string{"b -> b.yml -> dev.jet-bus.job.failed.v1 -> b"},
		},
		"by jobs of a choice": {
			[]string{"  - {name: b, on: dev.jet-bus.job.failed.v1, condition: event.data.rule == \"a\" or true, run: {playbook: b.yml}}\n"},
			[]string{"b -> b.yml -> dev.jet-bus.job.failed.v1 -> b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := rulegraph.Build(load(t, []byte("rules:\n"+strings.Join(tc.rules, ""))), published)
			var got []string
			for _, l := range g.Loops {
				got = append(got, l.String())
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			marked := false
			for _, e := range g.Edges {
				marked = marked || e.Loop
			}
			if marked != (len(tc.want) > 0) {
				t.Errorf("edges are marked: %t", marked)
			}
		})
	}
}
