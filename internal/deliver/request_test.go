package deliver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ceclient "github.com/cloudevents/sdk-go/v2/client"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/outbound"
)

// secretFile writes a secret as it should be kept.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func parse(t *testing.T, text string) events.Event {
	t.Helper()
	e, err := events.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// to makes a subscription of what follows its name in the file.
func to(t *testing.T, name, body string) *subscription {
	t.Helper()
	all, err := readText("subscriptions:\n  " + name + ": {" + body + "}\n")
	if err != nil {
		t.Fatal(err)
	}
	return all.byName[name]
}

// samples are events of every kind there is.
var samples = []string{
	`{"specversion":"1.0","id":"1","source":"/s","type":"com.acme.a","data":{"x":[1,"ü"]}}`,
	`{"specversion":"1.0","id":"2","source":"https://h.example.com/x?y=1","type":"com.acme.a","subject":"web1","time":"2026-03-04T05:06:07.125Z","datacontenttype":"application/json","data":{"a":1},"traceparent":"00-1-2-3","jetdepth":3,"flag":true}`,
	`{"specversion":"1.0","id":"3","source":"/s","type":"com.acme.none"}`,
	`{"specversion":"1.0","id":"4","source":"/s","type":"com.acme.text","datacontenttype":"text/plain","data":"hello\nyou"}`,
	`{"specversion":"1.0","id":"5","source":"/s","type":"com.acme.bytes","datacontenttype":"application/octet-stream","dataschema":"https://h.example.com/schema","data_base64":"AAH/gA=="}`,
}

// sameEvent compares what makes an event, however it was carried.
func sameEvent(want, got events.Event) string {
	type plain struct {
		ID, Source, Type, Subject, Schema string
		Time                              time.Time
		Extensions                        map[string]string
		Data                              string
	}
	of := func(e events.Event) plain {
		p := plain{e.ID(), e.Source(), e.Type(), e.Subject(), e.DataSchema(), e.Time(), map[string]string{}, string(e.Data())}
		for name := range e.Extensions() {
			p.Extensions[name] = events.Extension(e, name)
		}
		return p
	}
	return cmp.Diff(of(want), of(got))
}

// The SDK's own receiver takes what is sent, in every mode, as it is stored.
func TestSDKReceives(t *testing.T) {
	t.Parallel()
	var got []events.Event
	p, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	single, err := ceclient.NewHTTPReceiveHandler(t.Context(), p, func(_ context.Context, e events.Event) { got = append(got, e) })
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cehttp.IsHTTPBatch(r.Header) {
			single.ServeHTTP(w, r)
			return
		}
		list, err := cehttp.NewEventsFromHTTPRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		got = append(got, list...)
	}))
	defer s.Close()
	client := outbound.NewClient(nil, 1)
	defer client.Close()
	var all []events.Event
	for _, text := range samples {
		all = append(all, parse(t, text))
	}
	for _, m := range []mode{structured, binary, batch} {
		got = nil
		sub := to(t, "a", "url: '"+s.URL+"', mode: "+string(m))
		if m == batch {
			if _, err := sub.send(t.Context(), client, all); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		} else {
			for _, e := range all {
				if _, err := sub.send(t.Context(), client, []events.Event{e}); err != nil {
					t.Errorf("%s: %s: %v", m, e.ID(), err)
				}
			}
		}
		if len(got) != len(all) {
			t.Fatalf("%s: %d events, want %d", m, len(got), len(all))
		}
		for i := range all {
			if diff := sameEvent(all[i], got[i]); diff != "" {
				t.Errorf("%s: %s", m, diff)
			}
		}
	}
}

// What we send in any mode is what we would take in ourselves.
func TestReadsOwnRequests(t *testing.T) {
	t.Parallel()
	texts := append([]string{
		`{"specversion":"1.0","id":"a \"b\" 100%","source":"/s","type":"com.acme.a","subject":"Wärme: 41 °C","note":"冷却 €😀","data":1}`,
	}, samples...)
	for _, m := range []mode{structured, binary, batch} {
		for _, text := range texts {
			want := parse(t, text)
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			body, err := m.encode(r.Header, []events.Event{want})
			if err != nil {
				t.Fatal(err)
			}
			if m == binary { // whoever reads headers decodes them, as the HTTP binding says
				for name, v := range r.Header {
					r.Header[name] = []string{unescape(t, v[0])}
					for _, c := range v[0] {
						if c < ' ' || c > '~' {
							t.Errorf("header %s: %q", name, v[0])
						}
					}
				}
			}
			got, err := events.FromBody(r, body)
			if err != nil || len(got) != 1 {
				t.Errorf("%s: %s: %v", m, want.ID(), err)
				continue
			}
			if diff := sameEvent(want, got[0]); diff != "" {
				t.Errorf("%s: %s", m, diff)
			}
		}
	}
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		n := strings.Index("0123456789ABCDEF", s[i+1:i+2])<<4 + strings.Index("0123456789ABCDEF", s[i+2:i+3])
		out, i = append(out, byte(n)), i+2
	}
	return string(out)
}

// The example of the Standard Webhooks specification.
func TestSignExample(t *testing.T) {
	t.Parallel()
	keys, err := readKeys(secretFile(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{headerID: {"msg_p5jXN8AQM9LWM0D4loKWxJek"}}
	sign(h, keys, time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got := h.Get("webhook-signature"); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

// A receiver that knows one of two keys can tell who sends, and what it was sent.
func TestSignedRequest(t *testing.T) {
	t.Parallel()
	old, next := []byte("0123456789abcdef01234567"), []byte("fedcba9876543210fedcba98")
	var head http.Header
	var body []byte
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		head = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	defer s.Close()
	client := outbound.NewClient(s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, 1)
	defer client.Close()
	file := secretFile(t, "whsec_"+base64.StdEncoding.EncodeToString(old)+"\nwhsec_"+base64.StdEncoding.EncodeToString(next)+"\n")
	sub := to(t, "a", "url: '"+s.URL+"', headers: {X-Env: prod}, token_file: "+secretFile(t, "t0ken")+", signing_file: "+file)
	if _, err := sub.send(t.Context(), client, []events.Event{parse(t, samples[0])}); err != nil {
		t.Fatal(err)
	}
	if head.Get("Authorization") != "Bearer t0ken" || head.Get("X-Env") != "prod" || !strings.HasPrefix(head.Get("User-Agent"), "jet-bus/") {
		t.Errorf("headers %v", head)
	}
	signatures := strings.Fields(head.Get("webhook-signature"))
	if len(signatures) != 2 || head.Get("webhook-id") == "" {
		t.Fatalf("headers %v", head)
	}
	for i, key := range [][]byte{old, next} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(head.Get("webhook-id") + "." + head.Get("webhook-timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); signatures[i] != want {
			t.Errorf("signature %s, want %s", signatures[i], want)
		}
	}
}

// What is wrong with a key, or a way there, shows no secret and can be mended.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	client := outbound.NewClient(nil, 1)
	defer client.Close()
	world := secretFile(t, "s3cret")
	if err := os.Chmod(world, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ body, want string }{
		"nobody listens": {"url: '" + gone.URL + "/s3cret'", "refused"},
		"no key":         {"url: '" + gone.URL + "', signing_file: /nowhere/file", "read secret: stat /nowhere/file"},
		"world":          {"url: '" + gone.URL + "', signing_file: " + world, "can be read by others"},
		"no prefix":      {"url: '" + gone.URL + "', signing_file: " + secretFile(t, "s3cret"), "a key is whsec_"},
		"short":          {"url: '" + gone.URL + "', signing_file: " + secretFile(t, "whsec_AAAA"), "at least 16 bytes"},
		"three":          {"url: '" + gone.URL + "', signing_file: " + secretFile(t, "a\nb\nc"), "one key, or two"},
		"url in file":    {"token_file: /t, url_file: " + secretFile(t, "http://h.example.com/s3cret"), "sent in the clear"},
	} {
		_, err := to(t, "a", tt.body).send(t.Context(), client, []events.Event{parse(t, samples[0])})
		if err == nil || outbound.Known(err).Final || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	a, b := parse(t, samples[0]), parse(t, samples[2])
	ids := map[string]bool{}
	for _, id := range []string{
		messageID("x", []events.Event{a}), messageID("y", []events.Event{a}), messageID("x", []events.Event{b}),
		messageID("x", []events.Event{a, b}), messageID("x", []events.Event{b, a}),
	} {
		if ids[id] || strings.Contains(id, ".") {
			t.Errorf("id %s", id)
		}
		ids[id] = true
	}
	if messageID("x", []events.Event{a}) != messageID("x", []events.Event{parse(t, samples[0])}) {
		t.Error("not the same for the same event")
	}
}

// An event that cannot be put into headers is given up at once: tried again for a day, it
// would keep up all others.
func TestBinaryWithoutHeader(t *testing.T) {
	t.Parallel()
	e := parse(t, samples[3])
	e.SetDataContentType("text/plain; a=\"\x01\"")
	sub := to(t, "sink", "url: 'http://127.0.0.1:1/', mode: binary")
	c := outbound.NewClient(nil, 1)
	defer c.Close()
	if _, err := sub.send(t.Context(), c, []events.Event{e}); err == nil || !outbound.Known(err).Final {
		t.Errorf("got %v, want a final failure", err)
	}
}
