package rules_test

import (
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

func readFilter(t *testing.T, text string) (*rules.Filter, error) {
	t.Helper()
	f, err := strictyaml.Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		On        yaml.Node `yaml:"on"`
		Condition yaml.Node `yaml:"condition"`
	}
	if err := f.Decode(f.Root, &doc); err != nil {
		t.Fatal(err)
	}
	return rules.ReadFilter(f, []byte(text), &doc.On, &doc.Condition)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	const typ = "com.acme.disk.full"
	for _, tt := range []struct {
		text, data string
		want       bool
		fails      string
	}{
		{"{}", `{}`, true, ""},
		{"on: com.acme.disk.full", `{}`, true, ""},
		{"on: [com.other, com.acme.*]", `{}`, true, ""},
		{"on: com.acme.disk", `{}`, false, ""},
		{"on: com.acme.disk.full.*", `{}`, false, ""},
		{"condition: event.data.free < 10", `{"free": 3}`, true, ""},
		{"condition: event.data.free < 10", `{"free": 30}`, false, ""},
		{"condition: event.data.free < 10", `{}`, false, ""},
		{"condition: not (event.data.free < 10)", `{}`, false, ""}, // unknown, not false
		{"condition: event.data.free < 10", `{"free": "a lot"}`, false, "f.yml:1:12: condition: "},
		{"{on: com.other, condition: event.data.free < 10}", `{"free": "a lot"}`, false, ""},
		{"condition: now > event.time", `{}`, true, ""},
	} {
		f, err := readFilter(t, tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		e, err := events.Parse([]byte(`{"specversion":"1.0","id":"1","source":"/s","time":"2025-01-01T00:00:00Z","type":"` + typ + `","data":` + tt.data + `}`))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // an evaluation is used again
			got, err := f.Takes(e, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			if got != tt.want || (err != nil) != (tt.fails != "") || err != nil && !strings.HasPrefix(err.Error(), tt.fails) {
				t.Errorf("%s of %s: %v, %v; want %v, %q", tt.text, tt.data, got, err, tt.want, tt.fails)
			}
		}
	}
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"condition: kv.x == 1", "f.yml:1:12: kv is not there in a condition; there is event and now"},
		{"condition: vars.x == 1", "f.yml:1:12: vars is not there in a condition"},
		{"condition: event.data.x +", "f.yml:1:"},
		{"condition: 1 + 1", "f.yml:1:"},
		{"condition: [1]", "f.yml:1:12: "},
		{"on: a..b", `f.yml:1:5: on: "a..b" is not an event type`},
		{"on: []", "f.yml:1:5: on: is an empty list"},
		{"{on: [a, a], condition: kv.x}", "f.yml:1:10: on: \"a\" is listed twice\nf.yml:1:25: kv is not there"},
	} {
		_, err := readFilter(t, tt.text)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}
