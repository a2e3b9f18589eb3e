package rules_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/rules"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	set := load(t, `
rules:
  - {name: exact, on: com.github.push, run: {playbook: p.yml}}
  - {name: below, on: com.github.*, run: {playbook: p.yml}}
  - {name: both, on: [com.*, com.github.push, com.github.*], run: {playbook: p.yml}}
  - {name: off, on: com.github.push, enabled: false, run: {playbook: p.yml}}
  - {name: other, on: [com.gitlab.push, com.githu.*], run: {playbook: p.yml}}
  - {name: deep, on: com.github.push.*, run: {playbook: p.yml}}
`)
	tests := []struct{ typ, want string }{
		{"com.github.push", "exact:fired below:fired both:fired off:disabled"},
		{"com.github.tag.created", "below:fired both:fired"},
		{"com.github.push.forced", "below:fired both:fired deep:fired"},
		{"com.github", "both:fired"},
		{"com.gitlab.push", "both:fired other:fired"},
		{"com.github.", "both:fired"},
		{"com", ""},
		{"COM.github.push", ""},
		{"com.githubx", "both:fired"},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			t.Parallel()
			if got := spell(set.Match(event(t, tt.typ, nil), at)); got != tt.want {
				t.Errorf("Match: %s, want %s", got, tt.want)
			}
		})
	}
	got := spell(set.Explain(event(t, "com.github.push", nil), at))
	if want := "exact:fired below:fired both:fired off:disabled other:not_candidate deep:not_candidate"; got != want {
		t.Errorf("Explain: %s, want %s", got, want)
	}
}

func spell(verdicts []rules.Verdict) string {
	var words []string
	for _, v := range verdicts {
		words = append(words, v.Rule.Name+":"+v.Outcome.String())
	}
	return strings.Join(words, " ")
}

// TestMatchIsExplain: Match says what Explain says, for the candidates.
func TestMatchIsExplain(t *testing.T) {
	t.Parallel()
	types := []string{"a", "a.b", "a.b.c", "a.c", "b"}
	conditions := []string{
		"true", "event.data.n > 1", "event.data.gone == 1", "event.data.s > 3",
		"has(event.data.n) && event.data.n < 5", "event.data.n == 0 || event.subject == 'x'",
	}
	rapid.Check(t, func(rt *rapid.T) {
		var text strings.Builder
		text.WriteString("rules:\n")
		for i := range rapid.IntRange(1, 8).Draw(rt, "rules") {
			on := rapid.SampledFrom(types).Draw(rt, "on") + rapid.SampledFrom([]string{"", ".*"}).Draw(rt, "star")
			fmt.Fprintf(&text, "- {name: r%d, on: %s, enabled: %v, condition: \"%s\", run: {playbook: p.yml, vars: {n: \"${{ event.data.n }}\"}}}\n",
				i, on, rapid.Bool().Draw(rt, "enabled"), rapid.SampledFrom(conditions).Draw(rt, "condition"))
		}
		set := load(t, text.String())
		e := event(t, rapid.SampledFrom(types).Draw(rt, "type"),
			rapid.SampledFrom([]string{`{}`, `{"n":0,"s":"x"}`, `{"n":7}`, `{`}).Draw(rt, "data"))
		var want []rules.Verdict
		all := set.Explain(e, at)
		for _, v := range all {
			if v.Outcome != rules.NotCandidate {
				want = append(want, v)
			}
		}
		if len(all) != len(set.Rules()) {
			rt.Fatalf("Explain has %d verdicts for %d rules", len(all), len(set.Rules()))
		}
		same := cmp.Options{
			cmp.Comparer(func(a, b *rules.Rule) bool { return a == b }),
			cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }),
		}
		if diff := cmp.Diff(want, set.Match(e, at), same); diff != "" {
			rt.Fatalf("Explain and Match differ (-Explain +Match):\n%s", diff)
		}
	})
}

// TestConcurrent lets the race detector look at a set in use.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	set, err := withCondition(t, `semver(event.data.s) > semver("1.0.0") && any(event.data.list, .size > 10)`)
	if err != nil {
		t.Fatal(err)
	}
	e := event(t, "a", payload)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if v := set.Match(e, at)[0]; v.Outcome != rules.Fired {
					t.Errorf("%v: %v", v.Outcome, v.Err)
				}
			}
		})
	}
	wg.Wait()
}

// many returns n rules; every tenth is for its own prefix, the others for a type
// each, and five are for the type t0.x.
func many(tb testing.TB, n int) *rules.Set {
	tb.Helper()
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range n {
		on := fmt.Sprintf("t%d.x", i)
		switch {
		case i < 5:
			on = "t0.x"
		case i%10 == 0:
			on = fmt.Sprintf("t%d.*", i)
		}
		fmt.Fprintf(&text, "- {name: r%d, on: %s, condition: 'event.data.n == %d', run: {playbook: p.yml}}\n", i, on, i%3)
	}
	return load(tb, text.String())
}

// typical returns n rules as people write them: three clauses and a value.
func typical(tb testing.TB, n int) *rules.Set {
	tb.Helper()
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range n {
		fmt.Fprintf(&text, `
  - name: upgrade-%[1]d
    on: [com.github.t%[1]d.published]
    condition: >
      event.data.repository.full_name == "acme/app-%[1]d" && !event.data.release.prerelease
      && semver(event.data.release.tag_name) >= semver("2.0.0")
    run: {playbook: upgrade.yml, limit: web, vars: {version: "${{ event.data.release.tag_name }}"}}
`, i)
	}
	return load(tb, text.String())
}

func TestTenThousandRules(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("loads 10,000 rules")
	}
	set := many(t, 10_000)
	tests := []struct{ typ, want string }{
		{"t0.x", "r0:not_fired r1:fired r2:not_fired r3:not_fired r4:fired"},
		{"t9990.anything.below", "r9990:not_fired"},
		{"t9991.x", "r9991:fired"},
		{"t9991.y", ""},
	}
	for _, tt := range tests {
		if got := spell(set.Match(event(t, tt.typ, `{"n":1}`), at)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.typ, got, tt.want)
		}
	}
}

// BenchmarkMatch judges the same five candidates in sets of several sizes.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			set := many(b, n)
			e := event(b, "t0.x", `{"n":1,"repository":{"full_name":"acme/app"}}`)
			b.ReportAllocs()
			for b.Loop() {
				if len(set.Match(e, at)) != 5 {
					b.Fatal("want five candidates")
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		many(b, 1000)
	}
}
