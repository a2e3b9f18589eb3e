package rules_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
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
		{`semver(event.data.n) > semver("1")`, `semver takes a version or text, not a number`},
		{`semver(event.data.bad) > semver("1")`, `"not a version" is not a version such as 1.2.3`},
		{`semver(event.subject) > semver("1")`, `a version has at most 256 characters`},
		{`glob("*", event.data.list)`, `glob takes text as its second argument, not a list`},
		{`glob(event.data.null, "x")`, `glob takes text as its first argument, not null`},
		{`glob(event.subject + "[", "x")`, `"` + strings.Repeat("long ", 12) + `long…" is not a pattern`},
		{`cidr(event.data.bad, "10.0.0.1")`, `"not a version" is not a network such as 10.0.0.0/8`},
		{`cidr("10.0.0.0/8", event.data.s)`, `"v2.1.0" is not an IP address`},
		{`hash(event.data.obj) == ""`, `hash takes text, not a mapping`},
		{`replace(event.data.yes, "a", "b") == ""`, `replace takes text as its first argument, not true or false`},
		{`join(event.data.list, ",") == ""`, `join takes a list of text, not of a mapping`},
		{`join(event.data.s, ",") == ""`, `join takes a list as its first argument, not text`},
		{`join(event.data.words, event.data.n) == ""`, `join takes text as its second argument, not a number`},
		{`keys(event.data.n) == []`, `keys takes a mapping, not a number`},
		{`values(event.data.list) == []`, `values takes a mapping, not a list`},
		{`regexp("x", event.data.n)`, `regexp takes text as its second argument, not a number`},
		{`semverIn(event.data.bad, "1")`, `"not a version" is not a version such as 1.2.3`},
		{`semverIn("1", event.data.bad)`, `"not a version" is not a range of versions such as >=1.2.0 <2 || ~3.1`},
		{`cidr(event.data.words, "10.0.0.1")`, `"p" is not a network such as 10.0.0.0/8`},
		{`cidr(event.data.list, "10.0.0.1")`, `cidr takes a list of networks, not of a mapping`},
		{`cidr(event.data.n, "10.0.0.1")`, `cidr takes a network or a list of them as its first argument, not a number`},
		{`age(event.data.s) > duration("1s")`, `"v2.1.0" is not a time such as 2026-03-02T10:00:00Z or 2026-03-02`},
		{`age(event.data.list) > duration("1s")`, `age takes a time, text or seconds, not a list`},
		{`age(event.data.big) > duration("1s")`, `the number is too large for seconds since 1970`},
		{`date(event.data.s, "2006") == now`, `"v2.1.0" is not a time like "2006"`},
		{`hour(now, event.data.s) == 1`, `"v2.1.0" is not a time zone such as Europe/Berlin or UTC`},
		{`duration(event.data.s) == duration("1s")`, `"v2.1.0" is not a duration such as 90s, 1h30m or 7d`},
		{`businessHours(now, "UTC", event.data.s, "09:00-17:00")`, `"v2.1.0" does not name days such as mon-fri or mon,wed`},
		{`businessHours(now, "UTC", "mon", event.data.s)`, `"v2.1.0" does not name hours such as 09:00-17:00`},
		{`format(now, event.subject) == ""`, `a layout has at most 256 characters`},
		{`path(event.data, event.data.s) == 1`, `"v2.1.0" is not a path such as $.a.b[0]`},
		{`fromJSON(event.data.bad) == 1`, `"not a version" is not JSON`},
		{`unique(event.data.s) == []`, `unique takes a list, not text`},
		{`take(event.data.words, event.data.f) == []`, `take takes a whole number as its second argument, not a number`},
		{`sort(event.data.list) == []`, `sort takes a list of numbers or of texts alone`},
		{`sort(event.data.words, event.data.s) == []`, `the order of sort is "asc" or "desc", not "v2.1.0"`},
		{`int(event.data.s) == 1`, `"v2.1.0" is not a whole number`},
		{`int(event.data.f * 1e300) == 1`, `the number is too large for int`},
		{`float(event.data.s) == 1`, `"v2.1.0" is not a number`},
		{`string(event.data.null) == ""`, `the value is null; write ?? and what to put instead`},
		{`event.data.n`, `the clause is a number, not true or false`},
		{`event.data.n startsWith "v"`, `a value is a number, not text`},
		{`event.data.n in event.data.obj`, `the keys of a mapping are text`},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			v := set.Match(e, at)[0]
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
	if v := set.Match(e, at)[0]; v.Outcome != rules.Fired {
		t.Errorf("%v: %+v, %v", v.Outcome, v.Reason, v.Err)
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

// TestFunctionLoadFaults pins what is found wrong before there is an event.
func TestFunctionLoadFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		condition string
		column    int
		want      string
	}{
		{`regexp("(", event.id)`, 14, "error parsing regexp: missing closing ): `(`"},
		{`regexp(event.data.p, event.id)`, 25, `the pattern of regexp must stand in the rule as a string`},
		{`true && capture(event.id, "x") == nil`, 29, `the pattern of capture must stand in the rule as a string`},
		{`event.id | regexp("x")`, 13, `the pattern of regexp must stand in the rule as a string`},
		{`glob("**[", event.id)`, 12, `"**[" is not a pattern`},
		{`semverIn("1.x.y", ">1")`, 16, `"1.x.y" is not a version such as 1.2.3`},
		{`semverIn(event.id, ">=one")`, 26, `">=one" is not a range of versions such as >=1.2.0 <2 || ~3.1`},
		{`cidr(["10.0.0.0/8", "10.0.0.1"], event.id)`, 27, `"10.0.0.1" is not a network such as 10.0.0.0/8`},
		{`age(event.time) > duration("7 days")`, 34, `"7 days" is not a duration such as 90s, 1h30m or 7d`},
		{`hour(now, "Berlin") == 1`, 17, `"Berlin" is not a time zone such as Europe/Berlin or UTC`},
		{`hour(now, "Local") == 1`, 17, `"Local" is not a time zone such as Europe/Berlin or UTC`},
		{`businessHours(now, "UTC", "mon-fry", "09:00-17:00")`, 33, `"mon-fry" does not name days such as mon-fri or mon,wed`},
		{`businessHours(now, "UTC", "mon-fri", "9-17")`, 44, `"9-17" does not name hours such as 09:00-17:00`},
		{`path(event.data, "a.b") == 1`, 24, `"a.b" is not a path such as $.a.b[0]`},
		{`upper(3) == ""`, 7, `upper takes text, not a number`},
		{`upper(nil) == ""`, 7, `upper takes text, not null`},
		{`unique(event.id) == []`, 7, `unique takes a list, not text`},
		{`year(duration("1h")) == 1`, 7, `year takes a time, text or seconds as its first argument, not a duration`},
		{`keys([1]) == []`, 7, `keys takes a mapping, not a list`},
		{`int("x") == 1`, 7, `"x" is not a whole number`},
		{`date("2.3.", "2006") == now`, 7, `"2.3." is not a time like "2006"`},
		{`age("soon") > duration("1h")`, 11, `"soon" is not a time such as 2026-03-02T10:00:00Z or 2026-03-02`},
		{`lower(event.ext) == ""`, 7, `lower takes text, not a mapping`},
		{`lower(1..3) == ""`, 7, `lower takes text, not a list`},
		{`lower(event.id == "") == ""`, 7, `lower takes text, not true or false`},
		{`glob("x")`, 7, `not enough arguments to call glob: glob(pattern, text) bool`},
		{`age() == nil`, 7, `not enough arguments to call age: age(value) duration`},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			_, err := withCondition(t, tt.condition)
			if want := fmt.Sprintf("r.yml:6:%d: %s", tt.column, tt.want); err == nil || err.Error() != want {
				t.Errorf("error %v\n want %s", err, want)
			}
		})
	}
}

// TestFunctionValues looks at what the examples of the reference leave out.
func TestFunctionValues(t *testing.T) {
	t.Parallel()
	e := event(t, "a", payload)
	e.SetTime(at.Add(-time.Hour))
	for _, condition := range []string{
		`age(event.time) == duration("1h") && age(now + duration("5m")) == duration("-5m")`,
		`age(event.time) < duration("1d") and event.time + duration("60m") == now`,
		`duration("1w2d3h") == duration("219h") && duration("-1.5d") == duration("-36h") && duration("0") == duration("0s")`,
		`date("2026-03-02") + duration("10h") == now && date(now) == now`,
		`date(1.5) == date("1970-01-01T00:00:01.5Z") && unix(date(1.5)) == 1`,
		`hour(inZone(now, "America/New_York")) == 5 && hour(now) == 10`,
		`weekday(now) == "mon" && weekday("2026-03-01T23:59:59Z", "Europe/Berlin") == "mon"`,

		`regexp("^v", event.data.s) && !regexp("^V", event.data.s) && regexp("(?i)^V", event.data.s)`,
		`any(event.data.words, regexp("q", #)) && any(event.data.words, # matches "q")`,
		`capture("(x)?v", event.data.s) == ["v", ""] && capture("x", event.data.s) == nil`,
		"capture(`v([0-9]+)`, event.data.s)[1] == \"2\"",
		`glob("**", "a/b/c") && glob("a/**/c", "a/b/b/c") && !glob("a/*/c", "a/b/b/c") && !glob("b**", "ab")`,
		`glob("**[a-c\\]].?", "x/].y") && !glob("**[^a-c]", "x/a") && glob("**.é", "x\n.é") && !glob("**.x", "a?x")`,
		`cidr(["10.0.0.0/8", event.data.s == "" ? "" : "::/0"], "::1")`,
		`semverIn(semver(event.data.s), "~2.1") && semverIn(event.data.s, "1 - 3") && not semverIn(event.data.s, "!=2.1.0")`,

		`unique([1, 1.0, event.data.whole, 7, "7", nil, nil, true]) == [1, 7, "7", nil, true]`,
		`unique([[1], [1], {"a": 1}, {"a": 1}, "[1]"]) == [[1], {"a": 1}, "[1]"]`,
		`intersect(["b", "q", "p", "q"], event.data.words) == ["q", "p"] && !overlap(event.data.words, ["r"])`,
		`without(1..5, [event.data.n, 2]) == [1, 3, 4] && flatten([]) == []`,
		`sort([2, 1.5, 1]) == [1, 1.5, 2] && sort(["b", "a"]) == ["a", "b"] && reverse(1..3) == [3, 2, 1]`,
		`take([1, 2], -1) == [] && take([1], 5) == [1] && join([]) == "" && split("", ",") == [""]`,
		`"2" in (split(event.data.s, "v")[1] | split("."))`,

		`path(event.data, "$") == event.data && path(event.data, "$.obj.a.b") == "deep"`,
		`path(event.data, "$['obj'][\"dash-ed\"]") == 1 && path(event.data, "$.list[-2].name") == "x"`,
		`path(event.data, "$.list[9].name") == nil && path(event.data, "$.n.x") == nil && path(nil, "$.x") == nil`,
		`path(event.data, "$.obj.*") == [{"b": "deep"}, 1, "a"] && path(event.data, "$.gone[*].x") == []`,
		`path({"a]": {"'": [[1], [2, 3]]}}, "$[\"a]\"]['\\''][*][*]") == [1, 2, 3]`,
		`fromJSON("[1, 2.5, {\"a\": 9007199254740993}]")[2].a == 9007199254740993`,
		`int("-3") == -3 && int(2.9) == 2 && float(2) == 2.0 && float("1e3") == 1000`,
		`string(now) == "2026-03-02T10:00:00Z" && toJSON(duration("1h")) == "\"1h0m0s\""`,
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, condition)
			if err != nil {
				t.Fatal(err)
			}
			if v := set.Match(e, at)[0]; v.Outcome != rules.Fired {
				t.Errorf("%v: %+v, %v", v.Outcome, v.Reason, v.Err)
			}
		})
	}
}

// TestBusinessHours goes over midnights, ends of weeks and changes of the clock.
func TestBusinessHours(t *testing.T) {
	t.Parallel()
	tests := []struct {
		at, zone, days, hours string
		want                  bool
	}{
		{"2026-03-02T08:00:00Z", "Europe/Berlin", "mon-fri", "09:00-17:00", true},
		{"2026-03-02T07:59:59Z", "Europe/Berlin", "mon-fri", "09:00-17:00", false},
		{"2026-03-02T16:00:00Z", "Europe/Berlin", "mon-fri", "09:00-17:00", false},
		{"2026-03-30T07:00:00Z", "Europe/Berlin", "mon-fri", "09:00-17:00", true}, // summer time
		{"2026-03-07T12:00:00Z", "UTC", "sat-mon", "09:00-17:00", true},
		{"2026-03-06T12:00:00Z", "UTC", "sat-mon", "09:00-17:00", false},
		{"2026-03-02T12:30:00Z", "UTC", "mon", "08:00-12:00, 13:00-17:00", false},
		{"2026-03-02T13:00:00Z", "UTC", "tue, mon", "08:00-12:00, 13:00-17:00", true},
		{"2026-03-02T23:00:00Z", "UTC", "mon", "22:00-06:00", true},
		{"2026-03-03T05:59:59Z", "UTC", "mon", "22:00-06:00", true},
		{"2026-03-02T05:00:00Z", "UTC", "mon", "22:00-06:00", false},
		{"2026-03-03T06:00:00Z", "UTC", "mon", "22:00-06:00", false},
		{"2026-03-08T03:00:00Z", "UTC", "sat", "22:00-06:00", true},
		{"2026-03-02T23:59:59Z", "UTC", "mon", "00:00-24:00", true},
		{"2026-03-03T00:00:00Z", "UTC", "mon", "00:00-24:00", false},
	}
	for _, tt := range tests {
		set, err := withCondition(t, fmt.Sprintf("businessHours(%q, %q, %q, %q)", tt.at, tt.zone, tt.days, tt.hours))
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Match(event(t, "a", nil), at)[0].Outcome == rules.Fired; got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

// TestFunctionWork gives functions more than is good: every condition must be
// stopped, which without a charge it would be after minutes or gigabytes.
func TestFunctionWork(t *testing.T) {
	t.Parallel()
	const tooMuch, tooLong = "the expression takes too much work for this event", "the text grows beyond 1 MiB"
	big := strings.Repeat("x", 900_000)
	numbers := "[" + strings.TrimSuffix(strings.Repeat("1,", 60_000), ",") + "]"
	text, err := json.Marshal(map[string]any{"one": []string{big}, "t": big, "n": json.RawMessage(numbers), "p": "[" + numbers + "]"})
	if err != nil {
		t.Fatal(err)
	}
	e := event(t, "a", string(text))
	tests := []struct{ condition, want string }{
		{`all(1..50000, len(upper(event.data.t)) > 0)`, tooMuch},
		{`all(1..50000, all(event.data.one, len(upper(#)) > 0))`, tooMuch},
		{`all(1..50000, all(event.data.one, # != "y"))`, tooMuch},
		{`all(1..50000, all(event.data.one, # matches "[xy]*$"))`, tooMuch},
		{`all(1..50000, all(event.data.one, regexp("[xy]*$", #)))`, tooMuch},
		{`all(1..50000, all(event.data.one, glob("**y", #) == false))`, tooMuch},
		{`all(1..50000, all(event.data.one, glob("*x*x*x*y", #) == false))`, tooMuch},
		{`all(1..50000, all(event.data.one, hash(#) != "" ))`, tooMuch},
		{`all(1..50000, 2 not in event.data.n)`, tooMuch},
		{`all(event.data.n, # in event.data.n)`, tooMuch},
		{`all(1..50000, max(event.data.n) == 1)`, tooMuch},
		{`all(1..50000, all([event.data.n], max(#) == 1))`, tooMuch},
		{`all(1..50000, len(unique(event.data.n)) == 1)`, tooMuch},
		{`all(1..50000, overlap(event.data.n, event.data.n))`, tooMuch},
		{`all(1..50000, len(flatten([event.data.n])) > 0)`, tooMuch},
		{`all(1..50000, len(sort(event.data.n)) > 0)`, tooMuch},
		{`all(1..50000, len(path(event.data, "$.n[*]")) > 0)`, tooMuch},
		{`all(1..50000, len(fromJSON(event.data.p)) > 0)`, tooMuch},
		{`all(1..50000, len(split(event.data.t, "")) > 0)`, tooMuch},
		{`all(1..50000, hour(now, trim(" UTC ")) == 10)`, tooMuch},
		{`len(toJSON(map(1..4, event.data.t))) > 0`, tooLong},
		{`len(string(map(1..4, event.data.t))) > 0`, tooLong},
		{`len(join(map(1..4, event.data.t))) > 0`, tooLong},
		{`len(replace(event.data.t, "x", "yy")) > 0`, tooLong},
		{`len(unique(map(1..300, [event.data.t]))) > 0`, tooLong + "|" + tooMuch},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			set, err := withCondition(t, tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			v := set.Match(e, at)[0]
			if v.Outcome != rules.Failed || !slices.ContainsFunc(strings.Split(tt.want, "|"), func(want string) bool {
				return strings.HasSuffix(v.Err.Error(), want)
			}) {
				t.Errorf("%v, %v", v.Outcome, v.Err)
			}
		})
	}
}
