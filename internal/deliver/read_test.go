package deliver

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
)

func readText(text string) (*Subscriptions, error) {
	return Read(fstest.MapFS{File: {Data: []byte(text)}})
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := readText(`
subscriptions:
  audit:
    on: ["com.github.*", dev.jet-bus.job.failed.v1]
    condition: event.data.repository.full_name == "acme/app"
    url: https://audit.example.com/events
    mode: binary
    token_file: /etc/jet-bus/audit.token
    signing_file: /etc/jet-bus/audit.key
    headers: {X-Env: prod}
    timeout: 5s
    try_for: 1h
    parallel: 8
  all: {url_file: /etc/jet-bus/all.url}
  many: {url: "http://127.0.0.1:8080/x", signing_file: /etc/k, mode: batch, on: com.github.*}
`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"all", "audit", "many"}, got.Names()); diff != "" {
		t.Error(diff)
	}
	for typ, want := range map[string]bool{
		"com.github.push": true, events.TypeJobFailed: true, events.TypeJobStarted: false, "com.github": false,
	} {
		if got.Wants(typ) != want {
			t.Errorf("wants %s: %v", typ, !want)
		}
	}
	a, all := got.byName["audit"], got.byName["all"]
	if a.mode != binary || a.tokenFile != "/etc/jet-bus/audit.token" || a.signingFile != "/etc/jet-bus/audit.key" ||
		a.headers.Get("X-Env") != "prod" || a.timeout != 5*time.Second || a.tryFor != time.Hour || a.parallel != 8 ||
		a.sink() != "https://audit.example.com" || a.atOnce() != 8 || len(a.secrets()) != 2 {
		t.Errorf("audit: %+v", a)
	}
	if all.mode != structured || all.timeout != defaultTimeout || all.tryFor != defaultTryFor || all.parallel != 1 ||
		all.to.File != "/etc/jet-bus/all.url" || all.to.Secret || all.atOnce() != 1 {
		t.Errorf("all: %+v", all)
	}
	if m := got.byName["many"]; m.atOnce() != maxBatch {
		t.Errorf("many: %+v", m)
	}
	if none, err := Read(fstest.MapFS{}); err != nil || len(none.Names()) != 0 || none.Wants(events.TypeJobFailed) {
		t.Errorf("no file: %v, %v", none, err)
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	const good = `url: "https://h.example.com/s3cret", `
	sub := func(with string) string { return "subscriptions:\n  a: {" + with + "}\n" }
	many := "subscriptions:\n"
	for i := range maxSubscriptions + 1 {
		many += fmt.Sprintf("  s%d: {url: 'https://h.example.com'}\n", i)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "subscriptions.yml: is empty"},
		"no key":          {"{}", `subscriptions.yml:1:1: missing key "subscriptions"`},
		"unknown key":     {sub(good + "tokens: x"), `subscriptions.yml:2:44: unknown key "tokens"`},
		"name":            {"subscriptions: {Aa: {" + good + "}}", `subscription "Aa": a name has lower-case`},
		"no url":          {sub("mode: binary"), "2:6: a subscription needs either a url or a url_file"},
		"two urls":        {sub(good + "url_file: /x"), "either a url or a url_file"},
		"scheme":          {sub(`url: "ftp://h.example.com/s3cret"`), "2:12: the url is not one such as"},
		"userinfo":        {sub(`url: "https://u:s3cret@h.example.com"`), "the url has a user or password"},
		"token in http":   {sub(`url: "http://h.example.com", token_file: /t`), "sent in the clear"},
		"signed in http":  {sub(`url: "http://h.example.com", signing_file: /t`), "sent in the clear"},
		"relative token":  {sub(good + "token_file: ops.token"), "token_file must be an absolute path"},
		"relative key":    {sub(good + "signing_file: ops.key"), "signing_file must be an absolute path"},
		"relative url":    {sub("url_file: ops.url"), "url_file must be an absolute path"},
		"mode":            {sub(good + "mode: xml"), `mode must be structured, binary or batch, not "xml"`},
		"authorization":   {sub(good + "headers: {authorization: s3cret}"), "Authorization is a secret"},
		"own header":      {sub(good + "headers: {webhook-id: x}"), "Webhook-Id is set by jet-bus itself"},
		"attribute":       {sub(good + "headers: {CE-id: x}"), "Ce-Id is set by jet-bus itself"},
		"header":          {sub(good + `headers: {X-A: "a\r\nX-B: b"}`), `headers: "X-A" is no name`},
		"timeout":         {sub(good + "timeout: 2m"), "timeout must be 1s to 1m0s"},
		"try_for":         {sub(good + "try_for: 200h"), "try_for must be 1s to 168h0m0s"},
		"parallel":        {sub(good + "parallel: 33"), "parallel must be 1 to 32"},
		"parallel batch":  {sub(good + "parallel: 2, mode: batch"), "parallel is for single events"},
		"clock":           {sub(good + "on: dev.jet-bus.clock.ticked.v1"), "is never delivered"},
		"type":            {sub(good + "on: 'com.*.push'"), `2:48: on: "com.*.push" is not an event type`},
		"condition":       {sub(good + "condition: kv.x == 1"), "2:55: kv is not there in a condition"},
		"too many":        {many, "101 subscriptions are too many"},
		"another's fault": {sub(good+"mode: xml") + "  b: {url: 1}\n", "3:12: the url is not one such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readText(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.HasPrefix(err.Error(), "subscriptions.yml:")) {
				t.Errorf("shows a secret or no place: %v", err)
			}
		})
	}
}

// All faults are told, not the first.
func TestReadTellsAll(t *testing.T) {
	t.Parallel()
	_, err := readText("subscriptions:\n  a: {parallel: 0}\n  b: {url: 'https://h', mode: x, on: a..b}\n")
	if err == nil || strings.Count(err.Error(), "subscriptions.yml:") != 4 {
		t.Errorf("got %v, want four faults", err)
	}
}

// The server refuses subjects that are within each other.
func TestFilters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ on, want []string }{
		{nil, []string{"events.>"}},
		{[]string{"com.a", "com.a.*"}, []string{"events.*.com.a", "events.*.com.a.>"}},
		{[]string{"com.a.b", "com.a.*", "com.*", "org.x"}, []string{"events.*.com.>", "events.*.org.x"}},
		{[]string{"com.a.*", "com.ab.c"}, []string{"events.*.com.a.>", "events.*.com.ab.c"}},
		{[]string{"com.a_b/c"}, []string{"events.*.com.a_b=2fc"}},
	} {
		if diff := cmp.Diff(tt.want, filters(tt.on)); diff != "" {
			t.Errorf("%v: %s", tt.on, diff)
		}
	}
}
