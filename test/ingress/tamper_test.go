package ingress

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// forgery is a delivery that somebody has tampered with.
type forgery struct {
	name string
	of   func(sender) bool // the senders it is about
	// before changes what is signed then, after changes what was signed.
	before, after func(sender, *request)
	// at is when it is signed, from now; with is the number of the secret.
	at   time.Duration
	with int
	// want is the answer. What is not 202 leaves nothing stored.
	want int
}

func all(sender) bool          { return true }
func covers(s sender) bool     { return s.covers }
func token(s sender) bool      { return !s.covers }
func timed(s sender) bool      { return s.timestamp != "" }
func prefixed(s sender) bool   { return s.prefix != "" }
func hexed(s sender) bool      { return s.hexed }
func base64d(s sender) bool    { return s.covers && !s.hexed }
func algorithm(s sender) bool  { return strings.HasSuffix(s.prefix, "=") }
func versioned(s sender) bool  { return s.prefix == "v1," }
func ofJSON(s sender) bool     { return s.hook != "cloudevents" }
func identified(s sender) bool { return s.hook == "standard" || s.hook == "gitlab" || s.hook == "hmac" }

// setHeader sets a header of the request to what becomes of it.
func setHeader(name func(sender) string, to func(sender, string) string) func(sender, *request) {
	return func(s sender, r *request) { r.header.Set(name(s), to(s, r.header.Get(name(s)))) }
}

func proof(to func(sender, string) string) func(sender, *request) {
	return setHeader(func(s sender) string { return s.proof }, to)
}

func stamp(to func(sender, string) string) func(sender, *request) {
	return setHeader(func(s sender) string { return s.timestamp }, to)
}

func text(to string) func(sender, string) string { return func(sender, string) string { return to } }

func without(header func(sender) string) func(sender, *request) {
	return func(s sender, r *request) { r.header.Del(header(s)) }
}

func twice(header func(sender) string) func(sender, *request) {
	return func(s sender, r *request) { r.header.Add(header(s), r.header.Get(header(s))) }
}

func body(to func([]byte) []byte) func(sender, *request) {
	return func(_ sender, r *request) { r.body = to(r.body) }
}

func header(name, value string) func(sender, *request) {
	return func(_ sender, r *request) { r.header.Set(name, value) }
}

func proofOf(s sender) string     { return s.proof }
func timestampOf(s sender) string { return s.timestamp }

// seconds moves a timestamp.
func seconds(by int64) func(sender, string) string {
	return func(_ sender, was string) string {
		n, _ := strconv.ParseInt(was, 10, 64)
		return strconv.FormatInt(n+by, 10)
	}
}

// flipped is a body in which one letter of a value is another.
func flipped(b []byte) []byte {
	changed := bytes.Clone(b)
	i := bytes.LastIndexByte(changed, '"') - 1
	changed[i] ^= 1
	return changed
}

func compressed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// padded is the body with spaces before it, so many bytes in all.
func padded(size int) func([]byte) []byte {
	return func(b []byte) []byte { return append(bytes.Repeat([]byte(" "), size-len(b)), b...) }
}

// nested is the body with so many lists within each other in it.
func nested(depth int) func([]byte) []byte {
	return func(b []byte) []byte {
		deep := `"deep":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + ","
		i := bytes.IndexByte(b, '{') + 1
		return append(append(bytes.Clone(b[:i]), deep...), b[i:]...)
	}
}

// forgeries are all ways of tampering, by what is changed.
func forgeries() []forgery {
	const (
		taken, malformed, unproven, method, media, large = http.StatusAccepted, http.StatusBadRequest, http.StatusUnauthorized,
			http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge
		limit = 64 << 10 // of testdata/hooks.yml
	)
	lower := func(to string) func(sender, string) string {
		return func(s sender, was string) string { return to + strings.TrimPrefix(was, s.prefix) }
	}
	return []forgery{
		{name: "nothing changed", of: all, want: taken},

		{name: "body changed by a letter", of: covers, after: body(flipped), want: unproven},
		{name: "body with a space more", of: covers, after: body(func(b []byte) []byte { return append(bytes.Clone(b), ' ') }), want: unproven},
		{name: "body cut", of: covers, after: body(func(b []byte) []byte { return b[:len(b)-1] }), want: unproven},
		{name: "body of another delivery", of: covers, after: body(func([]byte) []byte { return []byte(`{}`) }), want: unproven},

		{name: "proof missing", of: all, after: without(proofOf), want: unproven},
		{name: "proof empty", of: all, after: proof(text("")), want: unproven},
		{name: "proof of a space", of: all, after: proof(text(" ")), want: unproven},
		{name: "proof of its prefix only", of: prefixed, after: proof(func(s sender, _ string) string { return s.prefix }), want: unproven},
		{name: "proof twice", of: all, after: twice(proofOf), want: unproven},
		{name: "proof and an empty one", of: all, after: func(s sender, r *request) { r.header.Add(s.proof, "") }, want: unproven},
		{name: "proof cut by a letter", of: all, after: proof(func(_ sender, was string) string { return was[:len(was)-1] }), want: unproven},
		{name: "proof cut by half", of: all, after: proof(func(_ sender, was string) string { return was[:len(was)-len(was)/4*2] }), want: unproven},
		{name: "proof with a letter more", of: all, after: proof(func(_ sender, was string) string { return was + "0" }), want: unproven},
		{name: "proof without its prefix", of: prefixed, after: proof(lower("")), want: unproven},
		{name: "proof of nonsense", of: all, after: proof(func(s sender, _ string) string { return s.prefix + "nonsense" }), want: unproven},
		{name: "proof with another secret", of: all, with: 1, want: unproven},
		{name: "proof in capitals", of: hexed, after: proof(func(s sender, was string) string {
			return s.prefix + strings.ToUpper(strings.TrimPrefix(was, s.prefix))
		}), want: taken}, // the same bytes
		{name: "proof in small letters", of: base64d, after: proof(func(_ sender, was string) string { return strings.ToLower(was) }), want: unproven},
		{name: "token in capitals", of: token, after: proof(func(s sender, was string) string {
			return s.prefix + strings.ToUpper(strings.TrimPrefix(was, s.prefix))
		}), want: unproven},
		{name: "algorithm in capitals", of: algorithm, after: proof(func(s sender, was string) string {
			return strings.ToUpper(s.prefix) + strings.TrimPrefix(was, s.prefix)
		}), want: unproven},
		{name: "algorithm sha1", of: algorithm, with: 0, after: func(s sender, r *request) {
			r.header.Set(s.proof, "sha1="+hexSum(sha1.New, s.secret(0), string(r.body)))
		}, want: unproven},
		{name: "sha1 under the name of the right one", of: hexed, after: func(s sender, r *request) {
			r.header.Set(s.proof, s.prefix+hexSum(sha1.New, s.secret(0), string(r.body)))
		}, want: unproven},
		{name: "algorithm none", of: algorithm, after: proof(lower("none=")), want: unproven},
		{name: "version v1a", of: versioned, after: proof(lower("v1a,")), want: unproven},
		{name: "a wrong proof beside the right one", of: versioned, after: proof(func(_ sender, was string) string { return "v1,bm8= v2,eA " + was }), want: taken},
		{name: "name of the proof in small letters", of: all, after: func(s sender, r *request) {
			r.header[strings.ToLower(s.proof)] = r.header[http.CanonicalHeaderKey(s.proof)]
			r.header.Del(s.proof)
		}, want: taken}, // names of headers have no case

		{name: "signed an hour ago", of: timed, at: -time.Hour, want: unproven},
		{name: "signed too long ago", of: timed, at: -5*time.Minute - 30*time.Second, want: unproven},
		{name: "signed in the future", of: timed, at: 10 * time.Minute, want: unproven},
		{name: "signed a little ago", of: timed, at: -2 * time.Minute, want: taken},
		{name: "timestamp missing", of: timed, after: without(timestampOf), want: unproven},
		{name: "timestamp empty", of: timed, after: stamp(text("")), want: unproven},
		{name: "timestamp twice", of: timed, after: twice(timestampOf), want: unproven},
		{name: "timestamp of nonsense", of: timed, after: stamp(text("yesterday")), want: unproven},
		{name: "timestamp changed by a second", of: timed, after: stamp(seconds(1)), want: unproven},
		{name: "old delivery with a new timestamp", of: timed, at: -time.Hour, after: stamp(seconds(3600)), want: unproven},
		{name: "timestamp with a plus", of: timed, after: stamp(func(_ sender, was string) string { return "+" + was }), want: unproven},
		{name: "id changed", of: identified, after: func(s sender, r *request) { r.header.Set(s.delivery[0], uuid.NewString()) }, want: unproven},
		{name: "id missing", of: identified, after: func(s sender, r *request) { r.header.Del(s.delivery[0]) }, want: unproven},
		{name: "nonce changed", of: func(s sender) bool { return s.hook == "sourcehut" }, after: header("X-Payload-Nonce", "0011223344556677"), want: unproven},

		{name: "content type form", of: all, after: header("Content-Type", "application/x-www-form-urlencoded"), want: media},
		{name: "content type text", of: all, after: header("Content-Type", "text/plain"), want: media},
		{name: "content type missing", of: all, after: func(_ sender, r *request) { r.header["Content-Type"] = nil }, want: media},
		{name: "compressed", of: all, before: body(compressed), after: header("Content-Encoding", "gzip"), want: media},
		{name: "said to be compressed", of: all, after: header("Content-Encoding", "br"), want: media},
		{name: "not JSON", of: ofJSON, before: body(func([]byte) []byte { return []byte("{not json}") }), want: malformed},
		{name: "half of it", of: all, before: body(func(b []byte) []byte { return b[:len(b)/2] }), want: malformed},
		{name: "two in one", of: all, before: body(func(b []byte) []byte { return append(bytes.Clone(b), b...) }), want: malformed},
		{name: "a list", of: all, before: body(func(b []byte) []byte { return []byte("[" + string(b) + "]") }), want: malformed},
		{name: "null", of: all, before: body(func([]byte) []byte { return []byte("null") }), want: malformed},
		{name: "empty object", of: all, before: body(func([]byte) []byte { return []byte("{}") }), want: malformed},
		{name: "empty body", of: all, before: body(func([]byte) []byte { return nil }), want: malformed},
		{name: "not UTF-8", of: all, before: body(func(b []byte) []byte { return bytes.Replace(b, []byte(`"`), []byte("\"\xff\xc0"), 1) }), want: malformed},
		{name: "too deep for any reader", of: all, before: body(nested(20_000)), want: malformed},
		{name: "deep", of: all, before: body(nested(1000)), want: malformed},
		{name: "less deep", of: ofJSON, before: body(nested(100)), want: taken}, // for CloudEvents this is an attribute

		{name: "just within the limit", of: all, before: body(padded(limit)), want: taken},
		{name: "too large", of: all, before: body(padded(limit + 1)), want: large},
		{name: "too large in chunks", of: all, before: body(padded(limit + 1)), after: func(_ sender, r *request) { r.chunked = true }, want: large},
		{name: "in chunks", of: all, after: func(_ sender, r *request) { r.chunked = true }, want: taken},

		{name: "GET", of: all, after: func(_ sender, r *request) { r.method = http.MethodGet }, want: method},
		{name: "PUT", of: all, after: func(_ sender, r *request) { r.method = http.MethodPut }, want: method},
		{name: "unknown endpoint", of: all, after: func(_ sender, r *request) { r.path = "/hooks/nobody" }, want: http.StatusNotFound},
		{name: "below the endpoint", of: all, after: func(_ sender, r *request) { r.path += "/more" }, want: http.StatusNotFound},
		{name: "endpoint in capitals", of: all, after: func(s sender, r *request) { r.path = "/hooks/" + strings.ToUpper(s.hook) }, want: http.StatusNotFound},
	}
}

// fresh is the first delivery of a sender, as one that was never sent.
func (s sender) fresh(t *testing.T) request {
	t.Helper()
	table := s.deliveries(t)
	id := uuid.NewString()
	r := s.request(t, table.Deliveries[0], id)
	if table.Mark == "" || !bytes.Contains(r.body, []byte(table.Mark)) {
		t.Fatalf("%s: the first payload has no mark", s.hook)
	}
	r.body = bytes.ReplaceAll(r.body, []byte(table.Mark), []byte(id))
	return r
}

// TestTampered sends every forgery of every sender.
func TestTampered(t *testing.T) {
	t.Parallel()
	hooks, err := os.ReadFile("testdata/hooks.yml")
	must(t, err)
	s := newSite(t, string(hooks))
	s.start(t)
	last := s.last(t)
	for _, f := range forgeries() {
		t.Run(f.name, func(t *testing.T) {
			for _, from := range senders() {
				if !f.of(from) {
					continue
				}
				r := from.fresh(t)
				if f.before != nil {
					f.before(from, &r)
				}
				from.sign(&r, from.secret(f.with), time.Now().Add(f.at))
				for _, name := range from.alike {
					r.header.Del(name)
				}
				if f.after != nil {
					f.after(from, &r)
				}
				a, want := s.post(t, r), f.expected(from)
				if a.status != want {
					t.Errorf("%s: answered %d %s, want %d", from.hook, a.status, a.text, want)
				}
				if strings.Contains(a.text, from.secretFile()) {
					t.Errorf("%s: the answer tells the secret: %s", from.hook, a.text)
				}
				before := last
				last = s.last(t)
				if stored := last > before; stored != (a.status == http.StatusAccepted) {
					t.Errorf("%s: answered %d, something stored: %v", from.hook, a.status, stored)
				}
			}
		})
	}
}

// expected is the answer to a forgery of a sender.
func (f forgery) expected(s sender) int {
	byHeaders := s.hook == "github" || s.hook == "gitea" || s.hook == "forgejo" || strings.HasPrefix(s.hook, "bitbucket")
	if f.name == "empty object" && byHeaders {
		return http.StatusAccepted // the headers say what happened, and it is told as it came
	}
	return f.want
}
