package notify

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

func readText(t *testing.T, text string) (*Targets, error) {
	t.Helper()
	return read(fstest.MapFS{File: {Data: []byte(text)}})
}

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := readText(t, `
targets:
  ops:
    webhook: {url: "https://hooks.example.com/x", headers: {X-Env: prod}, token_file: /etc/ops.token, body: slack, timeout: 5s}
  put: {webhook: {url_file: /etc/put.url, method: PUT}}
  night:
    email:
      to: [a@example.com, "B <b@example.com>"]
      from: jet-bus@example.com
      server: smtp.example.com:587
      user: jet
      password_file: /etc/smtp
`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"night", "ops", "put"}, got.Names()); diff != "" {
		t.Error(diff)
	}
	ops, night := got.byName["ops"], got.byName["night"]
	if ops.timeout != 5*time.Second || ops.webhook.body != bodySlack || ops.webhook.method != "POST" ||
		ops.webhook.to.URL.String() != "https://hooks.example.com/x" || ops.webhook.headers.Get("X-Env") != "prod" {
		t.Errorf("ops: %+v", ops.webhook)
	}
	if got.byName["put"].timeout != webhookTimeout || got.byName["put"].webhook.body != bodyJSON {
		t.Errorf("put: %+v", got.byName["put"])
	}
	if night.email.tls != startTLS || night.timeout != emailTimeout || night.email.to[1].Address != "b@example.com" || night.email.host != "smtp.example.com" {
		t.Errorf("night: %+v", night.email)
	}
	if diff := cmp.Diff([]string{"/etc/ops.token"}, ops.secrets()); diff != "" {
		t.Error(diff)
	}
	if none, err := read(fstest.MapFS{}); err != nil || len(none.Names()) != 0 {
		t.Errorf("no file: %v, %v", none.Names(), err)
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	mail := func(with string) string {
		return "targets:\n  a:\n    email: {to: [a@example.com], from: b@example.com, server: \"mx:25\", " + with + "}\n"
	}
	hook := func(with string) string { return "targets:\n  a:\n    webhook: {" + with + "}\n" }
	const good = `url: "https://h.example.com/s3cret", `
	for name, tt := range map[string]struct{ text, want string }{
		"unknown key":   {hook(good + "tokens: x"), `notify.yml:3:52: unknown key "tokens"`},
		"both":          {"targets: {a: {webhook: {" + good + "}, email: {to: [], from: a, server: b}}}", "either a webhook or an email"},
		"neither":       {"targets: {a: {}}", "notify.yml:1:14: target a: must be either"},
		"name":          {"targets: {Ops: {webhook: {" + good + "}}}", `target "Ops": a name has lower-case`},
		"no url":        {hook("method: POST"), "3:14: a webhook needs either a url or a url_file"},
		"two urls":      {hook(good + "url_file: /x"), "either a url or a url_file"},
		"scheme":        {hook(`url: "ftp://h.example.com/s3cret"`), "3:20: the url is not one such as"},
		"not a url":     {hook(`url: "https://h.example.com:s3cret/x"`), "the url is not one such as"},
		"userinfo":      {hook(`url: "https://u:s3cret@h.example.com"`), "the url has a user or password"},
		"token in http": {hook(`url: "http://h.example.com", token_file: /t`), "sent in the clear"},
		"relative file": {hook(good + "token_file: ops.token"), "token_file must be an absolute path"},
		"method":        {hook(good + "method: GET"), `method must be POST, PUT or PATCH, not "GET"`},
		"body":          {hook(good + "body: xml"), `body must be json, slack or text, not "xml"`},
		"authorization": {hook(good + "headers: {authorization: s3cret}"), "Authorization is a secret"},
		"own header":    {hook(good + "headers: {idempotency-key: x}"), "is set by jet-bus itself"},
		"header":        {hook(good + `headers: {X-A: "a\r\nX-B: b"}`), `headers: "X-A" is no name`},
		"timeout":       {hook(good + "timeout: 2m"), "timeout must be 1s to 1m0s"},
		"address":       {mail("timeout: 5s, user: ''") + "  b: {email: {to: [nobody], from: b@example.com, server: 'mx:25'}}", "to: not an address such as ops@example.com: nobody"},
		"from":          {strings.Replace(mail("tls: none"), "b@example.com", `"b@example.com\r\nBcc: x@example.com"`, 1), "from: not an address"},
		"server":        {strings.Replace(mail("tls: none"), "mx:25", "mx", 1), "server must be HOST:PORT"},
		"tls":           {mail("tls: maybe"), "tls must be starttls, implicit or none"},
		"clear":         {mail("tls: none, user: u, password_file: /p"), "would send the password in the clear"},
		"no password":   {mail("user: u"), "user and password_file go together"},
		"nobody":        {strings.Replace(mail("tls: none"), "a@example.com", "", 1), "to must name 1 to 50 addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readText(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.HasPrefix(err.Error(), "notify.yml:")) {
				t.Errorf("shows a secret or no place: %v", err)
			}
		})
	}
}

// All faults are told, not the first.
func TestReadTellsAll(t *testing.T) {
	t.Parallel()
	_, err := readText(t, "targets:\n  a: {}\n  b: {webhook: {method: GET}}\n")
	if err == nil || strings.Count(err.Error(), "notify.yml:") != 3 {
		t.Errorf("got %v, want three faults", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	at := strictyaml.Pos{File: "rules/a.yml", Line: 3, Column: 9}
	rule := func(to string) []*rules.Rule {
		return []*rules.Rule{{Name: "r", Notify: []*rules.Notify{{To: to, Pos: at}}}}
	}
	some := &Targets{byName: map[string]*target{"ops": {}, "night": {}}}
	for _, tt := range []struct {
		t        *Targets
		to, want string
	}{
		{some, "ops", ""},
		{some, "opps", `rules/a.yml:3:9: rule r notifies "opps", which is no target of notify.yml`},
		{&Targets{}, "ops", `rules/a.yml:3:9: rule r notifies "ops", and there is no target: name it in notify.yml`},
	} {
		errs := tt.t.check(rule(tt.to))
		switch {
		case tt.want == "" && len(errs) == 0:
		case len(errs) != 1 || tt.want == "" || !strings.HasPrefix(errs[0].Error(), tt.want):
			t.Errorf("%s: got %v, want %q", tt.to, errs, tt.want)
		}
	}
}
