package modules

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Where a module looks or asks from.
const (
	fromTarget = "target"
	fromRunner = "runner"
)

// requestTime is how long a request may take when nothing else is said.
const requestTime = 30 * time.Second

// httpModule is the http module. It makes a request over HTTP and fails unless
// the answer is as expected. GET and HEAD are taken to change nothing: they are
// made in check mode too and count as no change. Any other method is one.
//
// The result holds status (a number), headers (a mapping, whose names are in
// lower case), body (a text) and json (what the body says, if the server declares
// it as JSON, else null). They are there after a failure too, if there was an
// answer. What save keeps has this status; what register keeps has that of the task
// under the name.
type httpModule struct {
	// URL is the address, which begins with http:// or https://.
	URL string `yaml:"url,required"`
	// Method is the method of the request: GET, or POST when there is something to
	// send, unless it is given.
	Method method `yaml:"method"`
	// Headers are sent along. They appear in no message and in no process list.
	Headers map[string]string `yaml:"headers"`
	// Body is the text to send. It excludes json and form.
	Body *string `yaml:"body"`
	// JSON is what to send as JSON: any YAML. What a template comes to is text. It
	// excludes body and form.
	JSON any `yaml:"json"`
	// Form holds the fields to send as a web form. It excludes body and json.
	Form map[string]string `yaml:"form"`
	// Status is the status that the answer must have, or a list of them. 200 to 299
	// are as expected when it is not given.
	Status statusList `yaml:"status"`
	// Search is a regular expression, in Go's syntax, that the body of the answer
	// must match somewhere.
	Search pattern `yaml:"search"`
	// Timeout is how long one attempt may take: 30s when it is not given.
	Timeout *time.Duration `yaml:"timeout"`
	// Retries is how many more attempts are made when the server cannot be reached
	// or is busy, after 1, 2, 4 … seconds.
	Retries uint `yaml:"retries"`
	// Follow says whether redirections are followed, up to ten; they are unless it
	// is false. When they are not, the redirection is the answer.
	Follow *bool `yaml:"follow"`
	// User is the name to log in with, together with password (HTTP's basic
	// authentication).
	User *string `yaml:"user"`
	// Password goes with user. It is never shown.
	Password *string `yaml:"password"`
	// Token is sent as a bearer token. It is never shown. It excludes user.
	Token *string `yaml:"token"`
	// From says who makes the request: runner, the machine that the playbook runs
	// on, which is what happens when it is not given, or target, the host, with its
	// curl.
	From string `yaml:"from"`
	// Save is the variable that gets the result, also if the task fails.
	Save varName `yaml:"save"`

	exchange exchange
	pause    time.Duration // the first wait between attempts; zero means a second
}

// method is a method of HTTP.
type method string

var methodPattern = lazyregexp.New(`^[A-Z]{1,32}$`)

// UnmarshalNode takes a scalar that is a method in capital letters.
func (m *method) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !methodPattern().MatchString(n.Value) || n.Value == http.MethodConnect {
		return f.Errorf(n, "method must be one of HTTP, in capital letters, such as GET, not %.80q", n.Value)
	}
	*m = method(n.Value)
	return nil
}

// statusList is a status, or a list of statuses: what an answer's status may be; empty
// means 200 to 299.
type statusList []int

// UnmarshalNode takes a status or a list of them.
func (s *statusList) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, one := range list {
		code, err := strconv.Atoi(one.Value)
		if one.Kind != yaml.ScalarNode || err != nil || code < 100 || code > 599 {
			return f.Errorf(one, "a status is a number from 100 to 599, not %.80q", one.Value)
		}
		*s = append(*s, code)
	}
	return nil
}

// expects tells whether a status is as it should be.
func (s statusList) expects(code int) bool {
	if len(s) == 0 {
		return code >= 200 && code <= 299
	}
	return slices.Contains(s, code)
}

// Validate checks the request and what excludes each other.
func (m *httpModule) Validate() error {
	u, err := parseURL(m.URL)
	if err != nil {
		return err
	}
	if err := checkHeaders(m.Headers); err != nil {
		return err
	}
	switch m.From {
	case "", fromRunner, fromTarget:
	default:
		return fmt.Errorf("from must be %s or %s, not %.80q", fromRunner, fromTarget, m.From)
	}
	x := exchange{
		request: request{url: u, headers: make(map[string]string, len(m.Headers)+2)},
		follow:  m.Follow == nil || *m.Follow, timeout: requestTime,
	}
	if m.Timeout != nil {
		if x.timeout = *m.Timeout; x.timeout <= 0 {
			return errors.New("timeout must be more than nothing")
		}
	}
	for name, v := range m.Headers {
		x.headers[http.CanonicalHeaderKey(name)] = v
	}
	if err := m.authorize(&x); err != nil {
		return err
	}
	if err := m.fill(&x); err != nil {
		return err
	}
	if x.method = string(m.Method); x.method == "" {
		x.method = http.MethodGet
		if x.body != "" {
			x.method = http.MethodPost
		}
	}
	if x.method == http.MethodHead && (x.body != "" || m.Search.Regexp != nil) {
		return errors.New("HEAD sends nothing and its answer has no body: leave out body, json, form and search")
	}
	m.exchange = x
	return nil
}

// authorize says who asks.
func (m *httpModule) authorize(x *exchange) error {
	var value string
	switch {
	case m.Token != nil && m.User != nil:
		return errors.New("token and user exclude each other")
	case (m.User == nil) != (m.Password == nil):
		return errors.New("user and password go together")
	case m.Token != nil:
		value = "Bearer " + *m.Token
		if *m.Token == "" || strings.ContainsFunc(*m.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("token is empty, or holds what a token cannot hold, such as blanks")
		}
	case m.User != nil:
		if strings.Contains(*m.User, ":") {
			return errors.New("user holds a colon, which ends the name of a user in HTTP")
		}
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(*m.User+":"+*m.Password))
	default:
		return nil
	}
	if x.headers["Authorization"] != "" || x.url.User != nil {
		return errors.New("the request has two ways to authorize: keep one of token, user, the header Authorization and the user in url")
	}
	x.headers["Authorization"] = value
	return nil
}

// fill says what is sent.
func (m *httpModule) fill(x *exchange) error {
	given, kind := 0, ""
	if m.Body != nil {
		given++
		x.body = *m.Body
	}
	if m.JSON != nil {
		given++
		text, err := json.Marshal(m.JSON)
		if err != nil {
			return errors.New("json cannot be written as JSON: it holds a number that is infinite, or none")
		}
		x.body, kind = string(text), "application/json"
	}
	if m.Form != nil {
		given++
		fields := make(url.Values, len(m.Form))
		for name, v := range m.Form {
			fields.Set(name, v)
		}
		x.body, kind = fields.Encode(), "application/x-www-form-urlencoded"
	}
	if given > 1 {
		return errors.New("body, json and form exclude each other")
	}
	if kind != "" && x.headers["Content-Type"] == "" {
		x.headers["Content-Type"] = kind
	}
	return nil
}

// Offline says that the host is not needed when the runner asks.
func (m *httpModule) Offline() bool { return m.From != fromTarget }

func (m *httpModule) Query(context.Context, *engine.Host) (engine.Plan, error) {
	switch m.exchange.method {
	case http.MethodGet, http.MethodHead:
		return engine.Plan{Need: engine.Passive}, nil
	default:
		return engine.Plan{Need: engine.Execute}, nil
	}
}

func (m *httpModule) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	var c conn.Conn
	if m.From == fromTarget {
		c = h.Conn
	}
	r, err := m.persist(ctx, c)
	var res engine.Result
	if r.status != 0 {
		res.Data = r.data()
		if m.Save != "" {
			h.Set(string(m.Save), res.Data)
		}
	}
	if err != nil {
		return res, fmt.Errorf("requesting %s: %w", m.exchange.request, err)
	}
	return res, nil
}

// persist makes the request, again and again if that can help. An error with a
// reply means that the reply is not as expected.
func (m *httpModule) persist(ctx context.Context, c conn.Conn) (r reply, err error) {
	err = persist(ctx, m.Retries, m.pause, func() error {
		if r, err = m.exchange.run(ctx, c); err != nil {
			return err
		}
		return m.judge(r)
	})
	return r, err
}

// errNoMatch means that search does not match.
var errNoMatch = errors.New("the body of the answer does not match search")

// judge says what is not as expected of a reply.
func (m *httpModule) judge(r reply) error {
	switch {
	case !m.Status.expects(r.status):
		return statusError(r.status)
	case m.Search.Regexp != nil && !m.Search.Match(r.body):
		return errNoMatch
	default:
		return nil
	}
}

// data is the reply as variables hold it.
func (r reply) data() map[string]any {
	headers := make(map[string]any, len(r.header))
	for name, values := range r.header {
		headers[strings.ToLower(name)] = text([]byte(strings.Join(values, ", ")))
	}
	return map[string]any{
		"status": int64(r.status), "headers": headers, "body": text(r.body), "json": r.json(),
	}
}

// json returns what the body says if it is declared as JSON, and is it; else nil.
func (r reply) json() any {
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") || !json.Valid(r.body) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return plainNumbers(v)
}
