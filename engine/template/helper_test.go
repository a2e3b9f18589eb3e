package template

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func TestHelpers(t *testing.T) {
	t.Parallel()
	vars := map[string]any{
		"s": " Ab ", "i": int64(5), "goint": 5, "u": uint64(5), "f": 5.0, "big": uint64(math.MaxUint64), "max": int64(math.MaxInt64),
		"nan": math.NaN(), "inf": math.Inf(1), "null": nil, "t": true, "l": []any{"a", int64(1)}, "l2": []any{"a", int64(1)},
		"m": map[string]any{"k": []any{1.0, "yes", "0755", nil}, "a": "<x>"}, "q": "it's; rm -rf /", "lines": "a\nb",
		"tiny": 1e-7, "huge": 1e21, "thousand": 1e3, "date": "2020-01-01",
		"merge": map[string]any{"<<": "<<x"},
	}
	tests := []struct{ text, want string }{
		{`{{eq i 5}}{{eq i "5"}}{{eq i 5.0}}{{eq f 5.0}}`, "truefalsefalsetrue"},
		{`{{eq i goint}}{{eq i u}}{{eq this.null null}}{{eq s null}}{{eq t true}}`, "truetruetruefalsetrue"},
		{`{{eq l l2}}{{eq l [1]}}{{eq m m}}{{eq m {"k":1}}}{{ne i 4}}`, "truefalsetruefalsetrue"},
		{`{{gt 2 1.5}}{{gt i f}}{{gte i f}}{{lt i big}}{{lte -1 0}}`, "truefalsetruetruetrue"},
		{`{{gt big max}}{{lt max 9223372036854775808.0}}{{gt inf big}}{{gt nan 1}}{{lte nan 1}}`, "truetruetruefalsefalse"},
		{`{{and t i s}}{{and t i ""}}{{or "" 0 null}}{{or "" 0 t}}`, "truefalsefalsetrue"},
		{`{{and false nope}}{{or t nope}}`, "falsetrue"},
		{`{{not t}}{{not ""}}`, "falsetrue"},
		{`{{len l}}{{len m}}{{len "é"}}{{len i}}{{len null}}`, "22200"},
		{`[{{log s i}}]`, "[]"},
		{`{{lookup l 1}}{{lookup l "0"}}{{lookup (lookup m "k") 0}}`, "1a1.0"},
		{`{{isdefined s}}{{isdefined nope}}{{isdefined this.null}}{{isdefined m.k.[9]}}{{isdefined (lookup m "q")}}`, "truefalsetruefalsefalse"},
		{`{{contains "abc" "b"}}{{contains l 1}}{{contains l "1"}}{{contains m "k"}}`, "truetruefalsetrue"},
		{`{{starts_with "abc" "ab"}}{{ends_with "abc" "ab"}}`, "truefalse"},
		{`{{to_lower_case s}}{{to_upper_case s}}`, " ab  AB "},
		{`[{{trim s}}{{trim_start s}}{{trim_end s}}]`, "[AbAb  Ab]"},
		{`{{default nope "d"}}{{default this.null "d"}}{{default "" "d"}}{{default i nope}}{{default m.q.r (len l)}}`, "dd52"},
		{`{{join l "-"}}{{join (split "a,b" ",") "+"}}{{replace "a.b.c" "." ""}}`, "a-1a+babc"},
		{`{{to_json m}}`, `{"a":"<x>","k":[1.0,"yes","0755",null]}`},
		{`{{to_json big}}{{to_json t}}{{to_json "a\"b"}}`, `18446744073709551615true"a\"b"`},
		{"{{to_yaml m}}", "a: <x>\nk:\n  - 1.0\n  - \"yes\"\n  - \"0755\"\n  - null"},
		{"{{to_yaml merge}}", "\"<<\": <<x"},
		{`{{to_yaml lines}};{{to_yaml date}}`, "|-\n  a\n  b;\"2020-01-01\""},
		{`{{base64 "hi"}} {{sha256 ""}}`, "aGk= e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{`{{quote q}} {{quote i}} {{quote ""}} {{quote this.null}}`, `'it'\''s; rm -rf /' '5' '' ''`},
		{`{{tiny}} {{huge}} {{thousand}} {{inf}} {{nan}}`, "1e-7 1e21 1000.0 .inf .nan"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse(strictyaml.Pos{}, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tpl.Render(vars)
			if err != nil || got != tt.want {
				t.Errorf("Render = %q, %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func TestHelperErrors(t *testing.T) {
	t.Parallel()
	vars := map[string]any{"null": nil, "l": []any{int64(1)}, "inf": math.Inf(1), "nul": "a\x00b", "secret": "hunter2"}
	for text, want := range map[string]string{
		`{{gt "2" 1}}`:                "gt: argument 1 must be a number, not text",
		`{{contains 5 "5"}}`:          "contains: argument 1 must be text, not a number",
		`{{starts_with l "a"}}`:       "starts_with: argument 1 must be text, not a list",
		`{{lookup 5 1}}`:              "lookup: the first argument must be a list or a mapping, not a number",
		`{{lookup l 1}}`:              `lookup: "1" is not defined`,
		`{{join "a" ","}}`:            "join: argument 1 must be a list, not text",
		`{{split "a" ""}}`:            "split: the separator is empty",
		`{{replace "a" "" "b"}}`:      "replace: the text to replace is empty",
		`{{to_json inf}}`:             "to_json: JSON has no number .inf",
		`{{quote l}}`:                 "quote: cannot quote a list",
		`{{quote nul}}`:               "quote: a shell word cannot hold a NUL byte",
		`{{isdefined (trim l)}}`:      "trim: argument 1 must be text, not a list",
		`{{default (trim l) "x"}}`:    "trim: argument 1 must be text, not a list",
		`{{gt secret 1}}`:             "gt: argument 1 must be a number, not text",
		`{{len (lookup secret "a")}}`: "lookup: the first argument must be a list or a mapping, not text",
	} {
		tpl, err := Parse(strictyaml.Pos{}, text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
			continue
		}
		_, err = tpl.Render(vars)
		if err == nil || err.Error() != want {
			t.Errorf("Render(%s) error = %v, want %s", text, err, want)
		}
	}
}

// TestHelpersAreSorted guards the binary search, and the shape of the table.
func TestHelpersAreSorted(t *testing.T) {
	t.Parallel()
	all := helpers()
	if !slices.IsSortedFunc(all, func(a, b helper) int { return strings.Compare(a.name, b.name) }) {
		t.Error("helpers are not sorted by name")
	}
	for _, h := range all {
		if (h.eager == nil) == (h.lazy == nil) {
			t.Errorf("%s must be either eager or lazy", h.name)
		}
		if lookupHelper(h.name) == nil {
			t.Errorf("%s is not found", h.name)
		}
	}
}
