package webhook_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// TestConfigured is what is told of a hook's configuration when it is made.
func TestConfigured(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind   webhook.Kind
		change func(*webhook.Hook)
		want   string
	}{
		"as it is":             {webhook.HMAC, func(*webhook.Hook) {}, ""},
		"no scheme":            {webhook.HMAC, func(h *webhook.Hook) { h.Scheme = nil }, "how deliveries are signed"},
		"no mapping":           {webhook.HMAC, func(h *webhook.Hook) { h.Mapping = nil }, "which events"},
		"scheme of another":    {webhook.GitHub, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{} }, "not for kind github"},
		"mapping of another":   {webhook.Grafana, func(h *webhook.Hook) { h.Mapping = &webhook.Mapping{} }, "not for kind grafana"},
		"unknown kind":         {"gitbub", func(*webhook.Hook) {}, "none of github, gitlab"},
		"sha1":                 {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Algorithm = "sha1" }, "sha1 proves too little"},
		"md5":                  {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Algorithm = "md5" }, "md5 proves too little"},
		"crc":                  {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Algorithm = "crc" }, "none of sha256, sha512"},
		"base32":               {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Encoding = "base32" }, "none of hex, base64"},
		"no header":            {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Header = "" }, "header is missing"},
		"bad header":           {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Header = "X Y" }, "header"},
		"bad time header":      {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Timestamp = "X:Y" }, "not the name of a header"},
		"body not signed":      {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{timestamp}.{id}" }, "{body}"},
		"body twice":           {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{timestamp}{id}{body}{body}" }, "{body}"},
		"other in braces":      {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{body}{url}" }, "in braces"},
		"open brace":           {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{body}{" }, "in braces"},
		"time without header":  {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Timestamp = "" }, "which header"},
		"time not signed":      {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{id}.{body}" }, "not signed"},
		"id without header":    {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.ID = "" }, "which header"},
		"id not signed":        {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Signed = "{timestamp}.{body}" }, ""},
		"tolerance":            {webhook.HMAC, func(h *webhook.Hook) { h.Scheme.Tolerance = -1 }, "tolerance"},
		"by default":           {webhook.HMAC, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{Header: "X-Signature"} }, ""},
		"no type":              {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Type = "" }, "of which type"},
		"own type":             {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Type = "dev.jet-bus.{X-A}" }, "reserved"},
		"type with spaces":     {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Type = "a b" }, "must be letters"},
		"place without end":    {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Type = "a.{X-A" }, "event's type"},
		"place without name":   {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Subject = "a{}" }, "event's subject"},
		"place of dots":        {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.ID = "{..}" }, "event's id"},
		"place without begin":  {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Source = "a}" }, "event's source"},
		"place in place":       {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Source = "{.a{.b}}" }, "event's source"},
		"a secret told":        {webhook.HMAC, func(h *webhook.Hook) { h.Mapping.Subject = "{authorization}" }, "secret"},
		"standard mapped":      {webhook.Standard, func(h *webhook.Hook) { h.Mapping = &webhook.Mapping{Subject: "{.data.id}"} }, ""},
		"standard not base64":  {webhook.Standard, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("whsec_????????????????")} }, "not base64"},
		"standard short":       {webhook.Standard, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("whsec_MDEyMzQ1Njc4OTA=")} }, "fewer than 16"},
		"standard unprefixed":  {webhook.Standard, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte(signing[6:])} }, ""},
		"sourcehut not base64": {webhook.SourceHut, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte(secret)} }, "Ed25519"},
		"sourcehut short":      {webhook.SourceHut, func(h *webhook.Hook) { h.Secrets = [][]byte{[]byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODk=")} }, "Ed25519"},
		"grafana timestamp": {webhook.Grafana, func(h *webhook.Hook) {
			h.Scheme = &webhook.Scheme{Timestamp: "X-T", Algorithm: "sha256", Signed: "{timestamp}:{body}"}
		}, ""},
		"grafana algorithm": {webhook.Grafana, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{Algorithm: "sha512"} }, "Grafana"},
		"grafana prefix":    {webhook.Grafana, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{Prefix: "sha256="} }, "prefix"},
		"grafana signed":    {webhook.Grafana, func(h *webhook.Hook) { h.Scheme = &webhook.Scheme{Signed: "{timestamp}.{body}", Timestamp: "X-T"} }, "Grafana"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hook(tc.kind)
			tc.change(&h)
			_, err := webhook.New([]webhook.Hook{h}, &keeper{}, nil)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("error %v tells the secret", err)
			}
		})
	}
}

// TestMapping is what the templates make of one delivery.
func TestMapping(t *testing.T) {
	t.Parallel()
	const body = `{"type":"job.done","project":{"name":"my app/web","url":"https://ci.example.com/p?a=1"},"build":{"number":17},
		"refs":[{"name":"main"}],"own":"dev.jet-bus.job.failed.v1","odd":"..a//b..c\u0007 d.","none":null,"flag":true}`
	about := headers("X-Event", "Build Finished", "X-Delivery", "e-1", "X-Empty", "")
	for name, tc := range map[string]struct {
		mapping webhook.Mapping
		want    alertView
		status  int
		why     string
	}{
		"all":        {webhook.Mapping{Type: "com.example.{X-Event}", Source: "/ci/{.project.name}", Subject: "{.build.number}@{.refs.0.name}", ID: "{X-Delivery}"}, alertView{"e-1", "com.example.Build_Finished", "/ci/my%20app/web", "17@main", ""}, 202, ""},
		"defaults":   {webhook.Mapping{Type: "com.example.x"}, alertView{"i-1", "com.example.x", "/hooks/hook", "", ""}, 202, ""},
		"all of it":  {webhook.Mapping{Type: "{.type}", Source: "{.project.url}"}, alertView{"i-1", "job.done", "https://ci.example.com/p?a=1", "", ""}, 202, ""},
		"odd type":   {webhook.Mapping{Type: "a.{.odd}"}, alertView{"i-1", "a.a__b.c_d", "/hooks/hook", "", ""}, 202, ""},
		"no subject": {webhook.Mapping{Type: "a", Subject: "build {.build.id}"}, alertView{"i-1", "a", "/hooks/hook", "", ""}, 202, ""},
		"no type":    {webhook.Mapping{Type: "a.{.none}"}, alertView{}, 400, "the event's type: the body has no text at .none"},
		"no text":    {webhook.Mapping{Type: "a.{.flag}"}, alertView{}, 400, "no text at .flag"},
		"no header":  {webhook.Mapping{Type: "a", ID: "{X-Empty}"}, alertView{}, 400, "the event's id: there is no header X-Empty"},
		"no source":  {webhook.Mapping{Type: "a", Source: "/{.refs.1.name}"}, alertView{}, 400, "the event's source"},
		"own type":   {webhook.Mapping{Type: "{.own}"}, alertView{}, 403, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := hook(webhook.HMAC)
			one.Mapping = &tc.mapping
			h, k := serve(t, one)
			status, answer, _ := send(h, "hook", []byte(body), about, proof(webhook.HMAC, []byte(body), time.Now()))
			if status != tc.status || !strings.Contains(sentence(answer), tc.why) {
				t.Fatalf("status %d, answer %v; want %d, %q", status, answer, tc.status, tc.why)
			}
			for _, got := range alertViews(k.list) {
				got.Time = ""
				if d := cmp.Diff(tc.want, got); d != "" {
					t.Error(d)
				}
			}
		})
	}
	twice := http.Header{"X-Event": {"a", "b"}}
	h, _ := serve(t, hook(webhook.HMAC))
	if status, answer, _ := send(h, "hook", []byte(body), proof(webhook.HMAC, []byte(body), time.Now()), twice); status != 400 {
		t.Errorf("a header twice: status %d, answer %v", status, answer)
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	_, body := typical(t, webhook.Standard)
	got := alertViews(post(t, hook(webhook.Standard), body, nil))
	want := []alertView{{"msg_1", "com.standardwebhooks.invoice.paid", "/hooks/hook", "", "2026-03-01T10:00:00Z"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	mapped := hook(webhook.Standard)
	mapped.Mapping = &webhook.Mapping{Type: "com.example.{.type}", Source: "https://example.com", Subject: "{.data.id}"}
	got = alertViews(post(t, mapped, body, nil))
	want = []alertView{{"msg_1", "com.example.invoice.paid", "https://example.com", "in_1", "2026-03-01T10:00:00Z"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// This is the example that the specification's own libraries are tested with.
	spec := hook(webhook.Standard)
	spec.Secrets = [][]byte{[]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
	h, _ := serve(t, spec)
	example := headers("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "Webhook-Timestamp", "1614265330",
		"Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if status, answer, _ := send(h, "hook", []byte(`{"test": 2432232314}`), example); status != 401 || !strings.Contains(sentence(answer), "clock") {
		t.Errorf("status %d, answer %v; want it refused for its age alone", status, answer)
	}
}

// TestSchemes are ways of signing that are in use elsewhere.
func TestSchemes(t *testing.T) {
	t.Parallel()
	const body = `{"a":"b"}`
	long := hmac.New(sha512.New, []byte(secret))
	long.Write([]byte(body))
	for name, tc := range map[string]struct {
		scheme  webhook.Scheme
		headers http.Header
		want    int
	}{
		"hex":            {webhook.Scheme{Header: "X-S"}, headers("X-S", hexSum(secret, body)), 202},
		"base64":         {webhook.Scheme{Header: "X-S", Encoding: "base64"}, headers("X-S", base64Sum(secret, body)), 202},
		"base64 for URL": {webhook.Scheme{Header: "X-S", Encoding: "base64"}, headers("X-S", strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(base64Sum(secret, body))), 202},
		"prefix":         {webhook.Scheme{Header: "X-S", Prefix: "v0="}, headers("X-S", "v0="+hexSum(secret, body)), 202},
		"no prefix":      {webhook.Scheme{Header: "X-S", Prefix: "v0="}, headers("X-S", hexSum(secret, body)), 401},
		"other header":   {webhook.Scheme{Header: "X-S"}, headers("X-T", hexSum(secret, body)), 401},
		"other encoding": {webhook.Scheme{Header: "X-S", Encoding: "base64"}, headers("X-S", hexSum(secret, body)), 401},
		"sha512":         {webhook.Scheme{Header: "X-S", Algorithm: "sha512"}, headers("X-S", hex.EncodeToString(long.Sum(nil))), 202},
		"sha256 for 512": {webhook.Scheme{Header: "X-S", Algorithm: "sha512"}, headers("X-S", hexSum(secret, body)), 401},
		"with text":      {webhook.Scheme{Header: "X-S", Signed: "a:{body}:z"}, headers("X-S", hexSum(secret, "a:", body, ":z")), 202},
		"without text":   {webhook.Scheme{Header: "X-S", Signed: "a:{body}:z"}, headers("X-S", hexSum(secret, body)), 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := hook(webhook.HMAC)
			one.Scheme, one.Mapping = &tc.scheme, &webhook.Mapping{Type: "com.example.x"}
			h, _ := serve(t, one)
			status, answer, _ := send(h, "hook", []byte(body), tc.headers)
			if status != tc.want {
				t.Errorf("status %d, answer %v; want %d", status, answer, tc.want)
			}
		})
	}
}

// TestSameBody makes sure that what says the same again, at another time, is another
// event, unless it has an id that says otherwise.
func TestSameBody(t *testing.T) {
	t.Parallel()
	const body = `{"event":"build"}`
	now := time.Now()
	plain := headers("X-S", hexSum(secret, body))
	stamped := webhook.Scheme{Header: "X-S", Signed: "{timestamp}.{body}", Timestamp: "X-T"}
	at := func(at time.Time) http.Header {
		stamp := strconv.FormatInt(at.Unix(), 10)
		return headers("X-S", hexSum(secret, stamp, ".", body), "X-T", stamp)
	}
	for name, tc := range map[string]struct {
		scheme        webhook.Scheme
		first, second http.Header
		same          bool
	}{
		"nothing tells": {webhook.Scheme{Header: "X-S"}, plain, plain, false},
		"the same time": {stamped, at(now), at(now), true},
		"another time":  {stamped, at(now), at(now.Add(-time.Minute)), false},
		"the same id":   {webhook.Scheme{Header: "X-S", Signed: "{id}.{body}", ID: "X-I"}, headers("X-S", hexSum(secret, "1.", body), "X-I", "1"), headers("X-S", hexSum(secret, "1.", body), "X-I", "1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := hook(webhook.HMAC)
			one.Scheme, one.Mapping = &tc.scheme, &webhook.Mapping{Type: "com.example.x"}
			h, k := serve(t, one)
			for _, header := range []http.Header{tc.first, tc.second} {
				if status, answer, _ := send(h, "hook", []byte(body), header); status != 202 {
					t.Fatalf("status %d, answer %v", status, answer)
				}
			}
			if len(k.list) != 2 || (k.list[0].ID() == k.list[1].ID()) != tc.same {
				t.Errorf("events %v", k.list)
			}
			if short := name == "nothing tells"; short && (k.list[0].same == "" || k.list[0].same != k.list[1].same) {
				t.Error("sent twice at once, it is two events")
			}
		})
	}
}
