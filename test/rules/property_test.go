package rules

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/rules"
)

// cases returns the golden cases that play events.
func cases(tb testing.TB) map[string]*txtar.Archive {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]*txtar.Archive{}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if len(a.Files) == 3 {
			out[filepath.Base(file)] = a
		}
	}
	if len(out) == 0 {
		tb.Fatal("no cases")
	}
	return out
}

func steps(t *testing.T, text []byte) []step {
	t.Helper()
	var out []step
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		out = append(out, parseStep(t, i+1, line))
	}
	return out
}

// The order of rules in a file decides nothing but whom of equal priority a rule that
// stops comes before.
func TestOrderOfRules(t *testing.T) {
	t.Parallel()
	for name, a := range cases(t) {
		if strings.HasPrefix(name, "stop_") {
			continue
		}
		list := steps(t, a.Files[1].Data)
		want := sorted(play(t, load(t, a.Files[0].Data), list, false))
		for seed := range uint64(3) {
			got := sorted(play(t, load(t, shuffled(t, a.Files[0].Data, seed)), list, false))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: in another order (-want +got):\n%s", name, diff)
			}
		}
	}
}

// shuffled returns a rule file with its rules in another order.
func shuffled(t *testing.T, text []byte, seed uint64) []byte {
	t.Helper()
	var doc yaml.Node
	must(t, yaml.Unmarshal(text, &doc))
	top := doc.Content[0].Content
	for i := 0; i < len(top); i += 2 {
		if top[i].Value == "rules" {
			r := rand.New(rand.NewPCG(seed, 6))
			list := top[i+1].Content
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	out, err := yaml.Marshal(&doc)
	must(t, err)
	return out
}

// sorted returns what was decided at each step in an order of its own, and without
// places in the file.
func sorted(decisions string) []string {
	var out []string
	for at := range strings.SplitSeq(decisions, "\n1") {
		lines := strings.Split(at, "\n")
		for i := range lines {
			if before, after, ok := strings.Cut(lines[i], "rules.yml:"); ok {
				_, after, _ = strings.Cut(after, ": ")
				lines[i] = before + after
			}
		}
		slices.Sort(lines[1:])
		out = append(out, strings.Join(lines, "\n"))
	}
	return out
}

// FuzzPlay reads rule files that nobody would write, and plays the events of the
// golden cases: nothing may panic, and a state that was stored decides as before.
func FuzzPlay(f *testing.F) {
	all := cases(f)
	var script []byte
	for _, a := range all {
		f.Add(a.Files[0].Data)
		script = append(script, a.Files[1].Data...)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := rules.Load(fstest.MapFS{"rules.yml": {Data: text}}, ".")
		if err != nil || len(set.Rules()) > 20 {
			return
		}
		list := steps(t, script)
		slices.SortStableFunc(list, func(a, b step) int { return a.at.Compare(b.at) })
		if a, b := play(t, set, list, false), play(t, set, list, true); !bytes.Equal([]byte(a), []byte(b)) {
			t.Errorf("a state that was stored decides otherwise:\n%s", cmp.Diff(a, b))
		}
	})
}
