package subject

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

func read(t *testing.T, text string) (*subject, error) {
	t.Helper()
	f, err := strictyaml.Parse("sources.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := f.Decode(f.Root, &c); err != nil {
		return nil, err
	}
	s, err := c.Source()
	if err != nil {
		return nil, err
	}
	return s.(*subject), nil
}

func TestConfig(t *testing.T) {
	t.Parallel()
	got, err := read(t, `{server: ["tls://a:4222", "nats://b"], user: u, password_file: /p, ca_file: /ca, subject: "a.*.>", stream: S, durable: d-1, deliver: all, content: text, type: com.example.t}`)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Server: Servers{"tls://a:4222", "nats://b"}, User: "u", PasswordFile: "/p", CAFile: "/ca", Subject: "a.*.>",
		Stream: "S", Durable: "d-1", Deliver: "all", Content: "text", Type: "com.example.t",
	}
	if diff := cmp.Diff(want, got.Config, cmpopts.IgnoreTypes(strictyaml.Keyed{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = read(t, `{server: "nats://a", creds_file: /c, subject: ">", content: cloudevents}`)
	if err != nil || len(got.Server) != 1 || got.Deliver != "new" {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = read(t, `{server: "nats://127.0.0.1", token_file: /c, subject: x, type: com.example.t}`)
	if err != nil || got.Content != "json" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	with := func(s string) string { return `{server: "nats://a", subject: x, type: com.example.t, ` + s + `}` }
	for text, want := range map[string]string{
		`{subject: x, type: t}`:                                 "1:1: server must name the NATS server of somebody else; on the bus of jet-bus itself CloudEvents are published directly, on events.ext.<type>",
		`{server: , subject: x, type: t}`:                       "server must name",
		`{server: "nats://a", type: t}`:                         `missing key "subject"`,
		`{server: "a:4222", subject: x, type: t}`:               "server must be an address such as",
		`{server: "http://a", subject: x, type: t}`:             "server must be an address such as",
		`{server: {a: b}, subject: x, type: t}`:                 "must be a list",
		`{server: "nats://u:s3cret@a", subject: x, type: t}`:    "server has a user or password in its address",
		with(`user: u, password_file: /p`):                      "server a: a password or token would be sent in the clear",
		with(`token_file: /p`):                                  "would be sent in the clear",
		with(`creds_file: c`):                                   "creds_file must be an absolute path",
		with(`user: u`):                                         "user and password_file go together",
		with(`creds_file: /c, token_file: /t`):                  "exclude each other",
		with(`queue: a b`):                                      `queue is a name without dots, spaces`,
		with(`queue: q, stream: S`):                             "queue is for a subscription without a stream",
		with(`stream: a.b`):                                     `stream is a name without dots`,
		with(`durable: d`):                                      "name the stream",
		with(`stream: S, deliver: last`):                        "deliver must be new or all",
		with(`content: xml`):                                    "content must be json, text or cloudevents",
		with(`content: cloudevents`):                            "type is left out for cloudevents",
		`{server: "nats://a", subject: x}`:                      "type must name the type of the events",
		`{server: "nats://a", subject: x, type: dev.jet-bus.x}`: "is reserved",
		`{server: "nats://a", subject: "a b", type: t}`:         "subject must be one such as",
		`{server: "nats://a", subject: "a..b", type: t}`:        "subject must be one such as",
		`{server: "nats://a", subject: "a.>.b", type: t}`:       "subject must be one such as",
		`{server: "nats://a", subject: "a*", type: t}`:          "subject must be one such as",
	} {
		_, err := read(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "sources.yml:1:") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("shows a secret: %v", err)
		}
	}
	_, err := read(t, `{subject: "a b", deliver: x, content: y}`)
	if err == nil || strings.Count(err.Error(), "sources.yml:") != 5 {
		t.Errorf("got %v, want all faults", err)
	}
}
