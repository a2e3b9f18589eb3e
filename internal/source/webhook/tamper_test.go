package webhook_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// signers are the headers that carry each kind's proof.
func signers(kind webhook.Kind) []string {
	var names []string
	for name := range proof(kind, nil, time.Now()) {
		// Forgejo's own header counts, Gitea's beside it does not.
		if kind != webhook.Forgejo || name == "X-Forgejo-Signature" {
			names = append(names, name)
		}
	}
	return names
}

// TestTampered does to every header of a proof what can be done to it.
func TestTampered(t *testing.T) {
	t.Parallel()
	for _, kind := range allKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			about, body := typical(t, kind)
			h, k := serve(t, hook(kind))
			for _, name := range signers(kind) {
				good := proof(kind, body, time.Now()).Get(name)
				for what, values := range map[string][]string{
					"missing":  nil,
					"empty":    {""},
					"twice":    {good, good},
					"cut":      {good[:len(good)-1]},
					"longer":   {good + "0"},
					"other":    {"0" + good[1:]},
					"in clear": {secret},
					"spaces":   {"  "},
				} {
					if values != nil && values[0] == good && len(values) == 1 || kind == webhook.GitLab && what == "in clear" {
						continue
					}
					signed := proof(kind, body, time.Now())
					if kind == webhook.Forgejo {
						signed.Del("X-Gitea-Signature")
					}
					signed[name] = values
					status, answer, _ := send(h, "hook", body, about, signed)
					if status != http.StatusUnauthorized || sentence(answer) == "" {
						t.Errorf("%s %s: status %d, answer %v", name, what, status, answer)
					}
				}
			}
			if len(k.list) != 0 {
				t.Errorf("published %v", k.list)
			}
		})
	}
}

// TestTamperedBody changes one byte of what is signed.
func TestTamperedBody(t *testing.T) {
	t.Parallel()
	inClear := []webhook.Kind{webhook.GitLab, webhook.Alertmanager, webhook.CloudEvents}
	for _, kind := range allKinds() {
		if slices.Contains(inClear, kind) {
			continue // a token proves nothing about the body
		}
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			about, body := typical(t, kind)
			h, k := serve(t, hook(kind))
			for what, changed := range map[string][]byte{
				"a letter":  bytes.Replace(body, []byte("a"), []byte("b"), 1),
				"a space":   append(bytes.Clone(body), ' '),
				"cut":       body[:len(body)/2],
				"nothing":   nil,
				"an object": []byte("{}"),
			} {
				status, answer, _ := send(h, "hook", changed, about, proof(kind, body, time.Now()))
				if status != http.StatusUnauthorized {
					t.Errorf("%s: status %d, answer %v", what, status, answer)
				}
			}
			if len(k.list) != 0 {
				t.Errorf("published %v", k.list)
			}
		})
	}
}

// TestForged are tricks that are particular to a way of signing.
func TestForged(t *testing.T) {
	t.Parallel()
	_, push := typical(t, webhook.Bitbucket)
	_, paid := typical(t, webhook.Standard)
	_, built := typical(t, webhook.HMAC)
	now := time.Now()
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	standard := func(id, stamp string) string {
		return "v1," + base64Sum("01234567890123456789012345678901", id, ".", stamp, ".", string(paid))
	}
	generic := func(stamp string) string { return "sha256=" + hexSum(secret, "v0:", stamp, ".i.", string(built)) }
	for name, tc := range map[string]struct {
		kind    webhook.Kind
		body    []byte
		headers http.Header
		want    int
		why     string
	}{
		"bitbucket sha1":        {webhook.Bitbucket, push, headers("X-Hub-Signature", sha1Header(push)), 401, "algorithm"},
		"bitbucket none":        {webhook.Bitbucket, push, headers("X-Hub-Signature", hexSum(secret, string(push))), 401, "does not match"},
		"bitbucket empty":       {webhook.Bitbucket, push, headers("X-Hub-Signature", "sha256="), 401, "not signed"},
		"bitbucket newer":       {webhook.Bitbucket, push, headers("X-Hub-Signature-256", "sha256="+hexSum(secret, string(push))), 401, "not signed"},
		"bitbucket upper":       {webhook.Bitbucket, push, headers("X-Hub-Signature", "sha256="+strings.ToUpper(hexSum(secret, string(push)))), 202, ""},
		"dc sha1":               {webhook.BitbucketDC, push, headers("X-Hub-Signature", sha1Header(push)), 401, "algorithm"},
		"github sha1":           {webhook.GitHub, push, headers("X-Hub-Signature-256", sha1Header(push)), 401, "algorithm"},
		"standard late":         {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(-301*time.Second), "Webhook-Signature", standard("1", at(-301*time.Second))), 401, "clock"},
		"standard early":        {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(20*time.Minute), "Webhook-Signature", standard("1", at(20*time.Minute))), 401, "clock"},
		"standard in time":      {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(-100*time.Second), "Webhook-Signature", standard("1", at(-100*time.Second))), 202, ""},
		"standard in words":     {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", "now", "Webhook-Signature", standard("1", "now")), 401, "seconds"},
		"standard other time":   {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(1), "Webhook-Signature", standard("1", at(-time.Hour))), 401, "does not match"},
		"standard other id":     {webhook.Standard, paid, headers("Webhook-Id", "2", "Webhook-Timestamp", at(0), "Webhook-Signature", standard("1", at(0))), 401, "does not match"},
		"standard dots moved":   {webhook.Standard, paid, headers("Webhook-Id", "1."+at(0), "Webhook-Timestamp", "", "Webhook-Signature", standard("1", at(0))), 401, ""},
		"standard version":      {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(0), "Webhook-Signature", "v2"+standard("1", at(0))[2:]), 401, "does not match"},
		"standard bare":         {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(0), "Webhook-Signature", standard("1", at(0))[3:]), 401, "does not match"},
		"standard empty digest": {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(0), "Webhook-Signature", "v1,"), 401, "does not match"},
		"standard among others": {webhook.Standard, paid, headers("Webhook-Id", "1", "Webhook-Timestamp", at(0), "Webhook-Signature", "v1a,AAAA v1,AAAA "+standard("1", at(0))), 202, ""},
		"hmac late":             {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(-301*time.Second), "X-Signature", generic(at(-301*time.Second))), 401, "clock"},
		"hmac early":            {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(20*time.Minute), "X-Signature", generic(at(20*time.Minute))), 401, "clock"},
		"hmac in time":          {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(100*time.Second), "X-Signature", generic(at(100*time.Second))), 202, ""},
		"hmac milliseconds":     {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(0)+"000", "X-Signature", generic(at(0)+"000")), 401, "clock"},
		"hmac huge":             {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", "9223372036854775807", "X-Signature", generic("9223372036854775807")), 401, "clock"},
		"hmac least":            {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", "-9223372036854775808", "X-Signature", generic("-9223372036854775808")), 401, "clock"},
		"hmac wrong algorithm":  {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(0), "X-Signature", "sha512="+generic(at(0))[7:]), 401, "algorithm"},
		"hmac empty digest":     {webhook.HMAC, built, headers("X-Id", "i", "X-Timestamp", at(0), "X-Signature", "sha256="), 401, "not signed"},
		"hmac no time":          {webhook.HMAC, built, headers("X-Id", "i", "X-Signature", generic("")), 401, "X-Timestamp is missing"},
		"token other scheme":    {webhook.Alertmanager, paid, headers("Authorization", "Token "+secret), 401, "token"},
		"token bare":            {webhook.Alertmanager, paid, headers("Authorization", secret), 401, "token"},
		"password":              {webhook.Alertmanager, readFile(t, "testdata/alertmanager.json"), headers("Authorization", basic("any", secret)), 202, ""},
		"password as name":      {webhook.Alertmanager, paid, headers("Authorization", basic(secret, "")), 401, "token"},
		"password with colon":   {webhook.Alertmanager, paid, headers("Authorization", basic("a", ":"+secret)), 401, "token"},
		"password not base64":   {webhook.Alertmanager, paid, headers("Authorization", "Basic "+secret), 401, "token"},
		"password elsewhere":    {webhook.CloudEvents, paid, headers("Authorization", basic("a", secret)), 401, "token"},
		"grafana bearer":        {webhook.Grafana, readFile(t, "testdata/grafana.json"), headers("Authorization", "Bearer "+second), 202, ""},
		"grafana password":      {webhook.Grafana, readFile(t, "testdata/grafana.json"), headers("Authorization", basic("g", secret)), 202, ""},
		// A signature that is there must be right, whatever else is.
		"grafana both": {webhook.Grafana, paid, headers("Authorization", "Bearer "+secret, "X-Grafana-Alerting-Signature", hexSum(second, "{}")), 401, "does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			about, _ := typical(t, tc.kind)
			form := headers("Content-Type", "application/json")
			if tc.kind == webhook.CloudEvents {
				form.Set("Content-Type", "application/cloudevents+json")
			}
			h, k := serve(t, hook(tc.kind))
			status, answer, _ := send(h, "hook", tc.body, about, form, tc.headers)
			if status != tc.want || !strings.Contains(sentence(answer), tc.why) {
				t.Errorf("status %d, answer %v; want %d, %q", status, answer, tc.want, tc.why)
			}
			if (len(k.list) > 0) != (tc.want == 202) {
				t.Errorf("published %v", k.list)
			}
		})
	}
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// TestSourcehutForged is about what SourceHut does not sign, and its nonce.
func TestSourcehutForged(t *testing.T) {
	t.Parallel()
	about, body := typical(t, webhook.SourceHut)
	good := proof(webhook.SourceHut, body, time.Now())
	nonce, signature := good.Get("X-Payload-Nonce"), good.Get("X-Payload-Signature")
	for name, tc := range map[string]struct {
		body    []byte
		headers http.Header
		want    int
	}{
		"other nonce":       {body, headers("X-Payload-Nonce", "00aabb11ccdd22ef"), 401},
		"nonce in body":     {append(bytes.Clone(body), nonce[:8]...), headers("X-Payload-Nonce", nonce[8:]), 400},
		"body in nonce":     {body[:len(body)-3], headers("X-Payload-Nonce", string(body[len(body)-3:])+nonce), 401},
		"odd nonce":         {append(bytes.Clone(body), nonce[:1]...), headers("X-Payload-Nonce", nonce[1:]), 401},
		"no nonce":          {append(bytes.Clone(body), nonce...), headers("X-Payload-Nonce", ""), 401},
		"hex signature":     {body, headers("X-Payload-Signature", hexSum(secret, signature)), 401},
		"short signature":   {body, headers("X-Payload-Signature", "AAAA"), 401},
		"other event":       {body, headers("X-Webhook-Event", "REPO_UPDATE"), 400},
		"other id":          {body, headers("X-Webhook-Delivery", "3b1e1c8e-8a4f-4a6c-8e0f-6d3f0c1b2a12"), 400},
		"event twice":       {body, http.Header{"X-Webhook-Event": {"GIT_POST_RECEIVE", "GIT_POST_RECEIVE"}}, 400},
		"headers of no use": {body, http.Header{"X-Webhook-Event": nil, "X-Webhook-Delivery": nil}, 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := serve(t, hook(webhook.SourceHut))
			if status, answer, _ := send(h, "hook", tc.body, about, good, tc.headers); status != tc.want {
				t.Errorf("status %d, answer %v; want %d", status, answer, tc.want)
			}
		})
	}
}

// TestNames is about the headers that name the event and the delivery.
func TestNames(t *testing.T) {
	t.Parallel()
	for kind, names := range map[webhook.Kind][]string{
		webhook.GitHub:      {"X-GitHub-Event", "X-GitHub-Delivery"},
		webhook.Gitea:       {"X-Gitea-Event", "X-Gitea-Delivery"},
		webhook.Forgejo:     {"X-Forgejo-Event", "X-Forgejo-Delivery"},
		webhook.Bitbucket:   {"X-Event-Key", "X-Request-UUID"},
		webhook.BitbucketDC: {"X-Event-Key", "X-Request-Id"},
		webhook.HMAC:        {"X-Event"},
	} {
		about, body := typical(t, kind)
		h, k := serve(t, hook(kind))
		for _, name := range names {
			key := http.CanonicalHeaderKey(name)
			good := about.Get(name)
			for what, values := range map[string][]string{"missing": nil, "empty": {""}, "twice": {good, good}, "control": {"\x01"}} {
				status, answer, _ := send(h, "hook", body, about, proof(kind, body, time.Now()), http.Header{key: values})
				want := http.StatusBadRequest
				if kind == webhook.BitbucketDC && name == "X-Event-Key" && what == "twice" {
					want = http.StatusUnauthorized // what is let through unsigned depends on it
				}
				if status != want || sentence(answer) == "" {
					t.Errorf("%s: %s %s: status %d, answer %v", kind, name, what, status, answer)
				}
			}
		}
		for _, event := range []string{"a..b", "A B", ":", "repo:", "../x", strings.Repeat("x", 65)} {
			status, answer, _ := send(h, "hook", body, about, proof(kind, body, time.Now()), headers(names[0], event))
			if status != http.StatusBadRequest && kind != webhook.HMAC {
				t.Errorf("%s: event %q: status %d, answer %v", kind, event, status, answer)
			}
		}
		if kind != webhook.HMAC && len(k.list) > 0 {
			t.Errorf("%s: published %v", kind, k.list)
		}
	}
}

// TestUnsignedPing is the one thing that is answered without a proof.
func TestUnsignedPing(t *testing.T) {
	t.Parallel()
	ping := headers("X-Event-Key", "diagnostics:ping", "X-Request-Id", "r")
	signed := func(body string) http.Header {
		return headers("X-Event-Key", "diagnostics:ping", "X-Request-Id", "r", "X-Hub-Signature", "sha256="+hexSum(secret, body))
	}
	wrong := signed("another")
	for name, tc := range map[string]struct {
		kind      webhook.Kind
		body      string
		headers   http.Header
		want      int
		delivered int
	}{
		"unsigned":          {webhook.BitbucketDC, `{"test":true}`, ping, 200, 0},
		"with spaces":       {webhook.BitbucketDC, "{\"test\": true}\n", ping, 200, 0},
		"signed":            {webhook.BitbucketDC, `{"test":true}`, signed(`{"test":true}`), 200, 1},
		"signed wrong":      {webhook.BitbucketDC, `{"test":true}`, wrong, 401, 0},
		"signed with empty": {webhook.BitbucketDC, `{"test":true}`, headers("X-Event-Key", "diagnostics:ping", "X-Hub-Signature", ""), 401, 0},
		"with more":         {webhook.BitbucketDC, `{"test":true,"changes":[]}`, ping, 401, 0},
		"another event":     {webhook.BitbucketDC, `{"test":true}`, headers("X-Event-Key", "repo:refs_changed", "X-Request-Id", "r"), 401, 0},
		"twice":             {webhook.BitbucketDC, `{"test":true}`, http.Header{"X-Event-Key": {"diagnostics:ping", "diagnostics:ping"}}, 401, 0},
		"not in the cloud":  {webhook.Bitbucket, `{"test":true}`, ping, 401, 0},
		"github":            {webhook.GitHub, `{}`, headers("X-GitHub-Event", "ping", "X-GitHub-Delivery", "1"), 401, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			delivered := 0
			one := hook(tc.kind)
			one.Delivered = func() { delivered++ }
			h, k := serve(t, one)
			if status, answer, _ := send(h, "hook", []byte(tc.body), tc.headers); status != tc.want {
				t.Errorf("status %d, answer %v; want %d", status, answer, tc.want)
			}
			if len(k.list) != 0 || delivered != tc.delivered {
				t.Errorf("published %v, told of %d deliveries", k.list, delivered)
			}
		})
	}
}
