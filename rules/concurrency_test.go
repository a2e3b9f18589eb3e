package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/rules"
)

func TestConcurrencyKey(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	tests := []struct {
		name, value string
		want        *rules.Concurrency
		err         string
	}{
		{"alone", `deploy`, &rules.Concurrency{Key: "deploy", Policy: rules.PolicyQueue}, ""},
		{"from the event", `"${{ event.data.s }}"`, &rules.Concurrency{Key: "v2.1.0", Policy: rules.PolicyQueue}, ""},
		{"number", `"${{ event.data.n }}"`, &rules.Concurrency{Key: "5", Policy: rules.PolicyQueue}, ""},
		{"in text", `{key: "app-${{ event.data.n }}", policy: skip}`, &rules.Concurrency{Key: "app-5", Policy: rules.PolicySkip}, ""},
		{"fixed", `{key: 7, policy: replace}`, &rules.Concurrency{Key: "7", Policy: rules.PolicyReplace}, ""},
		{"absent", `{key: "${{ event.data.gone }}"}`, nil, "rules/r.yml:6:25: concurrency: event.data.gone is not in the event"},
		{"null", `"${{ event.data.null }}"`, nil, "rules/r.yml:6:18: concurrency: the key is null, not text"},
		{"list", `"${{ event.data.words }}"`, nil, "rules/r.yml:6:18: concurrency: the key is a list, not text"},
		{"empty", `"${{ event.subject ?? '' }}"`, nil, "rules/r.yml:6:18: concurrency: the key is empty"},
		{"long", `"` + strings.Repeat(`${{ event.data.s }}`, 200) + `"`, nil, "rules/r.yml:6:18: concurrency: the key is longer than 1024 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := withRun(t, "concurrency: "+tt.value).Match(e, at)[0]
			if tt.err != "" {
				if v.Outcome != rules.Failed || v.Err == nil || v.Err.Error() != tt.err {
					t.Fatalf("%v: %v, want %s", v.Outcome, v.Err, tt.err)
				}
				return
			}
			if v.Outcome != rules.Fired {
				t.Fatalf("%v: %v", v.Outcome, v.Err)
			}
			if diff := cmp.Diff(tt.want, v.Action.Concurrency); diff != "" {
				t.Errorf("concurrency (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHandling(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	set := withRun(t, "priority: 9\nretry: {attempts: 4}\napproval: true\nshare_hosts: true")
	a := set.Match(e, at)[0].Action
	if diff := cmp.Diff(&rules.Retry{Attempts: 4, Backoff: 30 * time.Second}, a.Retry); diff != "" {
		t.Errorf("retry (-want +got):\n%s", diff)
	}
	if a.Priority != 9 || a.Approval == nil || a.Approval.Expires != 0 || !a.ShareHosts || a.Concurrency != nil {
		t.Errorf("action %+v", a)
	}
	a.Retry.Attempts = 1 // an action is its owner's
	if got := set.Rules()[0].Run.Retry.Attempts; got != 4 {
		t.Errorf("the rule's attempts became %d", got)
	}
	none := withRun(t, "approval: false").Match(e, at)[0].Action
	if none.Approval != nil || none.Retry != nil || none.Terms() != nil {
		t.Errorf("action %+v", none)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	set := load(t, "rules:\n- {name: x, on: a, run: {playbook: p.yml}}\n- {name: y, on: b, run: {playbook: p.yml}}\n")
	if v, ok := set.Judge(e, at, "x"); !ok || v.Outcome != rules.Fired {
		t.Errorf("x: %v, %t", v.Outcome, ok)
	}
	for _, name := range []string{"y", "z"} {
		if _, ok := set.Judge(e, at, name); ok {
			t.Errorf("%s was judged", name)
		}
	}
	if set.Rule("y") == nil || set.Rule("z") != nil {
		t.Error("Rule finds the wrong ones")
	}
}
