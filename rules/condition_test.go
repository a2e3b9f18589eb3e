package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/rules"
)

const payload = `{
	"n": 5, "f": 1.5, "whole": 7.0, "big": 9007199254740993, "s": "v2.1.0", "yes": true, "no": false, "null": null,
	"obj": {"a": {"b": "deep"}, "dash-ed": 1, "key": "a"}, "ip": "10.1.2.3", "bad": "not a version",
	"list": [{"name": "x", "size": 1}, {"name": "y", "size": 20}], "words": ["p", "q"], "empty": []
}`

func TestCondition(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	e.SetSubject("main")
	e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	e.SetExtension("repository", "acme/app")
	e.SetExtension("number", 7)
	const fired, not, unknown, failed = rules.Fired, rules.NotFired, rules.Unknown, rules.Failed
	tests := []struct {
		condition string
		want      rules.Outcome
	}{
		{`event.id == "1" and event.source == "/test" and event.type == "a"`, fired},
		{`event.subject == "main"`, fired},
		{`event["subject"] == "main"`, fired},
		{`event.ext.repository == "acme/app" && event.ext.number == 7`, fired},
		{`event.ext.nothing == 1`, unknown},
		{`event.dataschema == "x"`, unknown},
		{`event.time - event.time == duration("0s")`, fired},
		{`event.datacontenttype == "application/json"`, fired},

		{`event.data.n == 5`, fired},
		{`event.data.n == 5.0`, fired},
		{`event.data.whole == 7 && event.data.f == 1.5`, fired},
		{`event.data.big == 9007199254740993`, fired},
		{`event.data.big == 9007199254740992`, not},
		{`event.data.n in [1, 5]`, fired},
		{`event.data.n in ["1", "5"]`, not},
		{`event.data.n not in [1, 5]`, not},
		{`event.data.n in 1..9`, fired},
		{`1 < event.data.n < 9`, fired},
		{`1 < event.data.n < 5`, not},
		{`event.data.n + 1 == 6 && "a" + event.data.s == "av2.1.0"`, fired},
		{`event.data.null == nil`, fired},
		{`event.data.null`, not},
		{`event.data.yes`, fired},
		{`!event.data.no`, fired},
		{`event.data.n`, failed},
		{`event.data.n startsWith "v"`, failed},
		{`event.data.n startsWith event.data.gone`, unknown},
		{`event.data.null > 3`, failed},

		{`event.data.n && event.data.no`, not}, // a failure decides no more than an unknown
		{`event.data.n || event.data.yes`, fired},
		{`event.data.gone && event.data.n`, failed},
		{`event.data.gone || event.data.n || event.data.no`, failed},
		{`!(event.data.n && event.data.yes)`, failed},

		{`event.data.gone == 1`, unknown},
		{`event.data.gone != 1`, unknown},
		{`!(event.data.gone == 1)`, unknown},
		{`event.data.obj.a.b == "deep"`, fired},
		{`event.data.obj["dash-ed"] == 1`, fired},
		{`event.data.obj[event.data.obj.key].b == "deep"`, fired},
		{`event.data.obj.a.b.c == 1`, unknown},
		{`event.data.null.x == 1`, unknown},
		{`event.data.list[0].name == "x" && event.data.list[-1].name == "y"`, fired},
		{`event.data.list[2].name == "x"`, unknown},
		{`event.data.list["x"] == 1`, unknown},
		{`event.data["s"] == "v2.1.0"`, fired},
		{`split(event.data.s, ".")[1] == "1"`, fired},
		{`split(event.data.s, ".")[9] == "1"`, unknown},

		{`event.data.gone?.x == nil`, fired},
		{`event.data?.gone == nil`, fired},
		{`event.data?.gone.x.y == nil`, fired},
		{`event.data.gone.x?.y == nil`, unknown},
		{`event.data.null?.x == nil`, fired},
		{`event.data.gone?.x`, not},
		{`(event.data.gone ?? 3) == 3`, fired},
		{`(event.data.gone.x ?? event.data.n) == 5`, fired},
		{`(event.data.gone ?? event.data.lost ?? 2) == 2`, fired},
		{`(event.data.gone ?? event.data.lost) == 2`, unknown},
		{`(event.data.null ?? 2) == 2`, fired},
		{`(event.dataschema ?? "none") == "none"`, fired},
		{`event?.dataschema == nil`, fired},
		{`has(event.data.n) && has(event.data.null) && has(event.subject)`, fired},
		{`has(event.data.gone) || has(event.data.obj.x.y) || has(event.dataschema)`, not},
		{`has(event.data?.gone)`, not},
		{`has(event.data.list[1].name)`, fired},

		{`has(event.data.gone) ? event.data.gone == 1 : event.data.n == 5`, fired},
		{`if has(event.data.gone) { event.data.gone == 1 } else { event.data.n == 5 }`, fired},
		{`event.data.yes ?: event.data.gone`, fired},
		{`any(event.data.list, .size > 10)`, fired},
		{`any(event.data.list, #.size > 10 && #.name == "y")`, fired},
		{`all(event.data.list, .size > 10)`, not},
		{`all(event.data.list, .weight > 10)`, unknown},
		{`all(event.data.empty, .weight > 10)`, fired},
		{`any(event.data.list, (.weight ?? 1) == 1)`, fired},
		{`filter(event.data.list, .size > 10)[0].name == "y"`, fired},
		{`len(event.data.words) == 2 and "p" in event.data.words`, fired},
		{`"n" in event.data`, fired},
		{`event.data.words | join("+") == "p+q"`, fired},
		{`map(event.data.list, .name) == ["x", "y"]`, fired},
		{`keys(event.data.obj) == ["a", "dash-ed", "key"]`, fired},
		{`values(event.data.obj)[2] == "a"`, fired},
		{`upper(event.data.words[0]) == "P"`, fired},
		{`replace(event.data.s, "v", "") == "2.1.0"`, fired},
		{`string(event.data.n) == "5" && toJSON(event.data.words) == "[\"p\",\"q\"]"`, fired},
		{`event.data.s matches "^v[0-9]"`, fired},
		{`event.data.s contains "2.1" && event.data.s endsWith ".0"`, fired},

		{`semver(event.data.s) >= semver("2.0.0")`, fired},
		{`semver(event.data.s) < semver("v2.1.1") && semver(event.data.s) <= semver("2.1.0")`, fired},
		{`semver(event.data.s) == semver("2.1.0") && semver(event.data.s) != semver("2.1.1")`, fired},
		{`semver(event.data.s) > semver("2.1.0")`, not},
		{`semver("1.0.0-rc1") < semver("1.0.0") and semver("1.10.0") > semver("1.9.0")`, fired},
		{`semver(event.data.bad) > semver("1.0.0")`, failed},
		{`semver(event.data.n) > semver("1.0.0")`, failed},
		{`semver(event.data.gone) > semver("1.0.0")`, unknown},
		{`glob("v2.*", event.data.s) and !glob("v3.*", event.data.s)`, fired},
		{`glob("*/app", event.ext.repository) && !glob("*", event.ext.repository)`, fired},
		{`glob(event.data.words[0] + "[", "x")`, failed},
		{`cidr("10.0.0.0/8", event.data.ip) && !cidr("192.168.0.0/16", event.data.ip)`, fired},
		{`cidr("fe80::/10", "fe80::1") and cidr("10.0.0.0/8", "::ffff:10.0.0.1")`, fired},
		{`cidr("10.0.0.0/8", event.data.bad)`, failed},
		{`hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`, fired},

		{`all(1..400, all(1..400, true))`, failed}, // 160,000 steps
		{`all(1..2000000, true)`, failed},          // too much memory
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			v := set.Match(e, at)[0]
			if v.Outcome != tt.want {
				t.Errorf("%v (err %v, clause %+v), want %v", v.Outcome, v.Err, v.Reason, tt.want)
			}
			if (v.Reason == nil) != (v.Outcome == fired) || (v.Err != nil) != (v.Outcome == failed) {
				t.Errorf("%v with clause %v, err %v", v.Outcome, v.Reason, v.Err)
			}
		})
	}
}

func TestClause(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	n5 := rules.Value{Path: "event.data.n", Value: int64(5)}
	tests := []struct {
		condition, text string
		line, column    int
		missing         string
		values          []rules.Value
	}{
		{`event.data.n == 6`, `event.data.n == 6`, 6, 7, "", []rules.Value{n5}},
		{`true && event.data.n == 6 && false`, `event.data.n == 6`, 6, 15, "", []rules.Value{n5}},
		{"true &&\n  (event.data.n == 6)", `event.data.n == 6`, 7, 10, "", []rules.Value{n5}},
		{`event.data.n == 6 || event.data.n == 7`, `event.data.n == 6 || event.data.n == 7`, 6, 7, "", []rules.Value{n5}},
		{
			`(event.data.n + 1) * 2 == 3 && true`, `(event.data.n + 1) * 2 == 3`, 6, 7, "", []rules.Value{n5},
		},
		{`not (event.data.n == 5)`, `not (event.data.n == 5)`, 6, 7, "", []rules.Value{n5}},
		{`true and not (event.data.n == 5 or false)`, `not (event.data.n == 5 or false)`, 6, 16, "", []rules.Value{n5}},
		{
			`!!(event.data.n == 5 && event.data.gone)`, `event.data.gone`, 6, 31, "event.data.gone",
			[]rules.Value{{Path: "event.data.gone", Missing: true}},
		},
		{
			`event.data.gone.x == event.data.n`, `event.data.gone.x == event.data.n`, 6, 7, "event.data.gone",
			[]rules.Value{{Path: "event.data.gone", Missing: true}},
		},
		{
			`event.data.obj["no-no"] == 1 and true`, `event.data.obj["no-no"] == 1`, 6, 7, `event.data.obj["no-no"]`,
			[]rules.Value{{Path: `event.data.obj["no-no"]`, Missing: true}},
		},
		{
			`event.data.words[2] == 1`, `event.data.words[2] == 1`, 6, 7, `event.data.words[2]`,
			[]rules.Value{{Path: "event.data.words[2]", Missing: true}},
		},
		{
			`has(event.data.gone) && true`, `has(event.data.gone)`, 6, 7, "",
			[]rules.Value{{Path: "event.data.gone", Missing: true}},
		},
		{
			`event.data.n not in [5] && true`, `event.data.n not in [5]`, 6, 7, "", []rules.Value{n5},
		},
		{
			`1 < event.data.n < 5`, `event.data.n < 5`, 6, 11, "", []rules.Value{n5},
		},
		{
			`event.data.yes && (event.data.no ? true : false) && true`, `event.data.no ? true : false`, 6, 26, "",
			[]rules.Value{{Path: "event.data.no", Value: false}},
		},
		{
			`first(event.data.list).weight == 1`, `first(event.data.list).weight == 1`, 6, 7, "first(event.data.list).weight",
			[]rules.Value{
				{Path: "event.data.list", Value: []any{
					map[string]any{"name": "x", "size": int64(1)},
					map[string]any{"name": "y", "size": int64(20)},
				}},
				{Path: "first(event.data.list).weight", Missing: true},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			v := set.Match(e, at)[0]
			if v.Reason == nil {
				t.Fatalf("no clause: %+v", v)
			}
			want := &rules.Reason{Text: tt.text, Values: tt.values, Missing: tt.missing}
			want.Pos.File, want.Pos.Line, want.Pos.Column = "r.yml", tt.line, tt.column
			if diff := cmp.Diff(want, v.Reason); diff != "" {
				t.Errorf("clause (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, contentType, data, condition string
		want                               rules.Outcome
	}{
		{"text", "text/plain", "hello", `event.data == "hello"`, rules.Fired},
		{"member of text", "text/plain", "hello", `event.data.x == "hello"`, rules.Unknown},
		{"json suffix", "application/x+json; charset=utf-8", `{"a":1}`, `event.data.a == 1`, rules.Fired},
		{"no type is json", "", `{"a":1}`, `event.data.a == 1`, rules.Fired},
		{"no data", "", "", `event.data.a == 1`, rules.Unknown},
		{"has no data", "", "", `has(event.data)`, rules.NotFired},
		{"json null", "application/json", "null", `event.data == nil`, rules.Fired},
		{"broken", "application/json", `{"a":`, `event.data.a == 1`, rules.Failed},
		{"two values", "application/json", `{"a":1} {}`, `event.data.a == 1`, rules.Failed},
		{"stray end", "application/json", `{"a":1}]`, `event.data.a == 1`, rules.Failed},
		{"broken but not used", "application/json", `{"a":`, `event.id == "1"`, rules.Fired},
		{"huge number", "application/json", `{"a":1e999}`, `event.data.a == "1e999"`, rules.Fired},
		{"exponent", "application/json", `{"a":1e3}`, `event.data.a == 1000`, rules.Fired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			e := event(t, "a", nil)
			e.SetDataContentType(tt.contentType)
			e.DataEncoded = []byte(tt.data)
			if v := set.Match(e, at)[0]; v.Outcome != tt.want {
				t.Errorf("%v (%v), want %v", v.Outcome, v.Err, tt.want)
			}
		})
	}
}

// formula is a random condition beside its value by Kleene's tables: 0 false,
// 1 unknown, 2 true.
type formula struct {
	text  string
	value int
}

func formulas(depth int) *rapid.Generator[formula] {
	return rapid.Custom(func(t *rapid.T) formula {
		op := 0
		if depth > 0 {
			op = rapid.IntRange(0, 4).Draw(t, "op")
		}
		switch op {
		case 1, 2:
			a := formulas(depth-1).Draw(t, "a")
			b := formulas(depth-1).Draw(t, "b")
			if op == 1 {
				return formula{fmt.Sprintf("(%s && %s)", a.text, b.text), min(a.value, b.value)}
			}
			return formula{fmt.Sprintf("(%s or %s)", a.text, b.text), max(a.value, b.value)}
		case 3, 4:
			a := formulas(depth-1).Draw(t, "a")
			return formula{rapid.SampledFrom([]string{"!", "not "}).Draw(t, "not") + a.text, 2 - a.value}
		}
		v := rapid.IntRange(0, 2).Draw(t, "v")
		return formula{[]string{
			rapid.SampledFrom([]string{"event.data.no", "(event.data.n == 1)"}).Draw(t, "no"),
			rapid.SampledFrom([]string{"event.data.gone", "(event.data.gone.x == 1)"}).Draw(t, "unknown"),
			rapid.SampledFrom([]string{"event.data.yes", "(event.data.n > 1)"}).Draw(t, "yes"),
		}[v], v}
	})
}

// TestThreeValued compares random formulas with Kleene's tables.
func TestThreeValued(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	want := []rules.Outcome{rules.NotFired, rules.Unknown, rules.Fired}
	rapid.Check(t, func(rt *rapid.T) {
		f := formulas(4).Draw(rt, "formula")
		set, err := withCondition(t, f.text)
		if err != nil {
			rt.Fatalf("%s: %v", f.text, err)
		}
		v := set.Match(e, at)[0]
		if v.Outcome != want[f.value] {
			rt.Fatalf("%s: %v, want %v", f.text, v.Outcome, want[f.value])
		}
		if v.Reason != nil && !strings.Contains(f.text, v.Reason.Text) {
			rt.Fatalf("%s: clause %q is not a part of it", f.text, v.Reason.Text)
		}
		if v.Outcome == rules.Unknown && v.Reason.Missing != "event.data.gone" {
			rt.Fatalf("%s: missing %q", f.text, v.Reason.Missing)
		}
	})
}
