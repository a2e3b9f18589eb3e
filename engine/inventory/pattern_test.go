package inventory

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func writeGroup(t *testing.T, dir string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "groups", "g"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

const fleet = `
-- groups/web-eu --
hosts: [web1, web2]
-- groups/web-us --
hosts: [web3]
-- groups/db-a --
hosts: [db1]
-- groups/db-b --
hosts: [db2, web2]
-- groups/empty --
`

func TestPatterns(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, fleet))
	tests := []struct {
		patterns string // separated by blanks
		groups   string // what Select says, or its error after !
		limit    string // what Limit says of all hosts, if it differs
	}{
		{patterns: "web*", groups: "web1 web2 web3"},
		{patterns: "web-eu", groups: "web1 web2"},
		{patterns: "db-?", groups: "db1 db2 web2"},
		{patterns: "db-[ab]", groups: "db1 db2 web2"},
		{patterns: "db-[^a]", groups: "db2 web2"},
		{patterns: "*", groups: "db1 db2 web1 web2 web3"},
		{patterns: "all !web*", groups: "db1 db2", limit: "db1 db2"},
		{patterns: "!web* all", groups: "db1 db2"},
		{patterns: "!web-eu", groups: "db1 db2 web3"},
		{patterns: "web* &db-b", groups: "web2"},
		{patterns: "&db-b &web*", groups: "web2"},
		{patterns: "&web-eu !db-?", groups: "web1"},
		{patterns: "empty", groups: ""},
		{patterns: "!empty", groups: "db1 db2 web1 web2 web3"},
		{patterns: "web*1", groups: `!no group matches "web*1"; known: all, db-a`, limit: "web1"},
		{patterns: "web?", groups: `!no group matches "web?"`, limit: "web1 web2 web3"},
		{patterns: "web1", groups: `!unknown group "web1"`, limit: "web1"},
		{patterns: "all !web2", groups: `!unknown group "web2"`, limit: "db1 db2 web1 web3"},
		{patterns: "web-eu nothing*", groups: `!no group matches "nothing*"`, limit: `!no host or group matches "nothing*"`},
		{patterns: "all !nothing", groups: `!unknown group "nothing"`, limit: `!unknown host or group "nothing"`},
		{patterns: "all &nothing?", groups: `!no group matches "nothing?"`, limit: `!no host or group matches "nothing?"`},
		{patterns: "[a", groups: `!"[a" is not a pattern`},
		{patterns: "!", groups: `!"!" is not a pattern`},
		{patterns: "!!web-eu", groups: `!"!!web-eu" is not a pattern`},
		{patterns: "!&web-eu", groups: `!"!&web-eu" is not a pattern`},
	}
	for _, tt := range tests {
		t.Run(tt.patterns, func(t *testing.T) {
			t.Parallel()
			patterns := strings.Fields(tt.patterns)
			got, err := inv.Select(patterns)
			checkHosts(t, "Select", got, err, tt.groups)
			if tt.limit == "" {
				tt.limit = tt.groups
			}
			got, err = inv.Limit(inv.Hosts(), patterns)
			checkHosts(t, "Limit", got, err, tt.limit)
		})
	}
	if _, err := inv.Select([]string{""}); err == nil {
		t.Error("an empty pattern is taken")
	}
}

func checkHosts(t *testing.T, what string, got []*Host, err error, want string) {
	t.Helper()
	if reason, isErr := strings.CutPrefix(want, "!"); isErr {
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s error = %v, want %q", what, err, reason)
		}
		return
	}
	if diff := cmp.Diff(strings.Fields(want), names(got)); err != nil || diff != "" {
		t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
	}
}

// TestPatternOrder shows that the order of patterns does not matter.
func TestPatternOrder(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, fleet))
	pattern := rapid.SampledFrom([]string{"web*", "db-?", "!web-eu", "&db-b", "web1", "!db1", "&web*", "all", "!w*3", "empty"})
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(pattern, 1, 5).Draw(t, "patterns")
		first, err := inv.Limit(inv.Hosts(), patterns)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := slices.Clone(patterns)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := inv.Limit(inv.Hosts(), shuffled)
		if err != nil || !slices.Equal(names(first), names(again)) {
			t.Fatalf("%v gives %v, %v gives %v, %v", patterns, names(first), shuffled, names(again), err)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"web*", "!db-?", "&[ab]*", `\*`, "[", "!", "[^", "a/b", "[]a]"} {
		f.Add(s, "web1")
	}
	f.Fuzz(func(t *testing.T, pattern, host string) {
		b := newBuilder()
		b.addHost("g", host)
		b.addHost("g", "web2")
		inv := b.build()
		got, err := inv.Limit(inv.Hosts(), []string{pattern})
		if err != nil {
			return
		}
		// The opposite pattern chooses the opposite.
		if rest, ok := strings.CutPrefix(pattern, "!"); ok {
			other, err := inv.Limit(inv.Hosts(), []string{rest})
			if err != nil || len(got)+len(other) != len(inv.Hosts()) {
				t.Fatalf("%q gives %v, %q gives %v, %v", pattern, names(got), rest, names(other), err)
			}
		}
	})
}

func TestGroup(t *testing.T) {
	t.Parallel()
	inv := load(t, tree(t, `
-- groups/site --
subgroups: [web, db]
-- groups/web --
hosts: [w2, w1]
subgroups: [canary, site]
-- groups/canary --
hosts: [w9, w1]
-- groups/db --
-- group_vars/all --
level: all
ports: [1]
-- group_vars/site --
level: site
ports: [2]
-- group_vars/web --
level: web
-- group_vars/canary --
deep: true
`))
	got, ok := inv.Group("web")
	if !ok {
		t.Fatal("there is no group web")
	}
	want := GroupInfo{
		Name: "web", Hosts: []string{"w1", "w2", "w9"}, Direct: []string{"w1", "w2"},
		Children: []string{"canary", "site"}, Descendants: []string{"canary", "db", "site"},
		Parents: []string{"all", "site"}, Ancestors: []string{"all", "site"},
		Vars: map[string]any{"level": "web", "ports": []any{int64(1), int64(2)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("web (-want +got):\n%s", diff)
	}
	got.Vars["level"], got.Children[0] = "spoilt", "spoilt"
	if again, _ := inv.Group("web"); again.Vars["level"] != "web" || again.Children[0] != "canary" {
		t.Error("a caller can change the inventory by its answer")
	}
	if got, _ := inv.Group("all"); len(got.Direct) != 0 || len(got.Parents) != 0 || len(got.Ancestors) != 0 || len(got.Hosts) != 3 {
		t.Errorf("all = %+v", got)
	}
	if _, ok := inv.Group("nothing"); ok {
		t.Error("there is a group nothing")
	}
	h, _ := inv.Host("w1")
	if diff := cmp.Diff([]string{"canary", "web"}, h.Direct); diff != "" {
		t.Errorf("direct groups of w1 (-want +got):\n%s", diff)
	}
}
