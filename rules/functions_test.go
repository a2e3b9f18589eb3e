package rules_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/rules"
)

// TestFunctionFaults pins what a failed clause says.
func TestFunctionFaults(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	e.SetSubject(strings.Repeat("long ", 100))
	tests := []struct{ condition, want string }{
		{`semver(event.data.n) > semver("1")`, `semver takes text, not a number`},
		{`semver(event.data.bad) > semver("1")`, `"not a version" is not a version such as 1.2.3`},
		{`semver(event.subject) > semver("1")`, `a version has at most 256 characters`},
		{`glob("*", event.data.list)`, `glob takes text, not a list`},
		{`glob(event.data.null, "x")`, `glob takes text, not null`},
		{`glob(event.subject + "[", "x")`, `"` + strings.Repeat("long ", 12) + `long…" is not a pattern`},
		{`cidr(event.data.bad, "10.0.0.1")`, `"not a version" is not a network such as 10.0.0.0/8`},
		{`cidr("10.0.0.0/8", event.data.s)`, `"v2.1.0" is not an IP address`},
		{`hash(event.data.obj) == ""`, `hash takes text, not a mapping`},
		{`replace(event.data.yes, "a", "b") == ""`, `replace takes text, not true or false`},
		{`join(event.data.list, ",") == ""`, `join takes a list of text, not of a mapping`},
		{`join(event.data.s, ",") == ""`, `join takes a list, not text`},
		{`join(event.data.words, event.data.n) == ""`, `join takes text between, not a number`},
		{`keys(event.data.n) == []`, `keys takes a mapping, not a number`},
		{`values(event.data.list) == []`, `values takes a mapping, not a list`},
		{`string(event.data.null) == ""`, `the value is null; write ?? and what to put instead`},
		{`event.data.n`, `the clause is a number, not true or false`},
		{`event.data.n startsWith "v"`, `a value is int64, not string`},
		{`event.data.n in event.data.obj`, `the keys of a mapping are text`},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			v := set.Match(e)[0]
			if v.Outcome != rules.Failed {
				t.Fatalf("%v, want failed", v.Outcome)
			}
			if got, want := v.Err.Error(), "r.yml:6:7: condition: "+tt.want; got != want {
				t.Errorf("error %s\n want %s", got, want)
			}
		})
	}
}

func TestExtensionTypes(t *testing.T) {
	t.Parallel()
	e := event(t, "a", nil)
	e.SetExtension("text", "x")
	e.SetExtension("yes", true)
	e.SetExtension("number", int32(-3))
	e.SetExtension("bytes", []byte("hi"))
	e.SetExtension("uri", url.URL{Scheme: "https", Host: "example.org", Path: "/a"})
	e.SetExtension("at", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	set, err := withCondition(t, `event.ext.text == "x" && event.ext.yes && event.ext.number == -3
&& event.ext.bytes == "aGk=" && event.ext.uri == "https://example.org/a" && event.ext.at == "2026-01-02T03:04:05Z"`)
	if err != nil {
		t.Fatal(err)
	}
	if v := set.Match(e)[0]; v.Outcome != rules.Fired {
		t.Errorf("%v: %+v, %v", v.Outcome, v.Clause, v.Err)
	}
}

func TestOutcomeText(t *testing.T) {
	t.Parallel()
	for o, want := range map[rules.Outcome]string{
		rules.Fired: `"fired"`, rules.NotFired: `"not_fired"`, rules.Unknown: `"unknown"`, rules.Failed: `"failed"`,
		rules.NotCandidate: `"not_candidate"`, rules.Disabled: `"disabled"`, 0: `"outcome(0)"`,
	} {
		if got, err := json.Marshal(o); err != nil || string(got) != want {
			t.Errorf("Marshal(%d) = %s, %v; want %s", int(o), got, err, want)
		}
	}
}
