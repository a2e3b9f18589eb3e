package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// waitTime is how long a module waits for something, waitInterval how long it
	// rests between two looks, when nothing else is said.
	waitTime     = 5 * time.Minute
	waitInterval = time.Second
	// lookTime is how long one look at a port or a path may take.
	lookTime = 10 * time.Second
)

// waitFor is the wait_for module. It waits until a port takes connections, a path
// exists or a server answers, and fails when that takes too long. It changes
// nothing. Check mode looks once and does not fail: what is waited for may be what
// an earlier task would have started.
//
// A host whose name has no address is neither there nor gone.
//
// The result holds elapsed, the seconds that it took (a number). Give exactly one of port, path and url.
type waitFor struct {
	// Port is the TCP port to wait for, 1 to 65535.
	Port uint16 `yaml:"port"`
	// Host is the name or the address of the machine whose port it is, as seen from
	// where the look is made: 127.0.0.1 when it is not given.
	Host peerName `yaml:"host"`
	// Path is the absolute path on the host to wait for. What a symbolic link names
	// counts.
	Path hostPath `yaml:"path"`
	// URL is the address to ask until the answer is as expected. It begins with
	// http:// or https://. Redirections are followed.
	URL string `yaml:"url"`
	// Absent waits until nothing is at path any more, or the port takes no
	// connections.
	Absent bool `yaml:"absent"`
	// Status is the status that the answer of url must have, or a list of them. 200
	// to 299 are as expected when it is not given.
	Status statusList `yaml:"status"`
	// Search is a regular expression, in Go's syntax, that the body of the answer of
	// url must match somewhere.
	Search pattern `yaml:"search"`
	// Timeout is how long to wait in all: 5m when it is not given.
	Timeout *time.Duration `yaml:"timeout"`
	// Interval is the time between two looks: 1s when it is not given.
	Interval *time.Duration `yaml:"interval"`
	// ConnectFrom says where port and url are looked at from: target, the host,
	// which is what happens when it is not given, or runner, the machine that the
	// playbook runs on. The host looks at its own ports in its table of ports, at
	// others with bash, nc, python3 or curl, and at url with curl.
	ConnectFrom string `yaml:"connect_from"`

	look              func(context.Context, conn.Conn) error
	what              string
	endpoint          endpoint
	timeout, interval time.Duration
	status            int
}

// Validate checks that there is one thing to wait for.
func (m *waitFor) Validate() error {
	given := 0
	for _, is := range []bool{m.Port != 0, m.Path != "", m.URL != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("give exactly one of port, path and url to wait for")
	case m.Host != "" && m.Port == 0:
		return errors.New("host goes with port")
	case m.URL == "" && (m.Search.Regexp != nil || len(m.Status) > 0):
		return errors.New("status and search go with url")
	case m.URL != "" && m.Absent:
		return errors.New("absent goes with path and port")
	case m.Path != "" && m.ConnectFrom == fromRunner:
		return errors.New("path is on the host, which connect_from: runner does not ask")
	case m.ConnectFrom != "" && m.ConnectFrom != fromTarget && m.ConnectFrom != fromRunner:
		return fmt.Errorf("connect_from must be %s or %s, not %.80q", fromTarget, fromRunner, m.ConnectFrom)
	}
	m.timeout, m.interval = waitTime, waitInterval
	if m.Timeout != nil {
		m.timeout = *m.Timeout
	}
	if m.Interval != nil {
		m.interval = *m.Interval
	}
	switch {
	case m.timeout <= 0 || m.interval <= 0:
		return errors.New("timeout and interval must be more than nothing")
	case m.Port != 0:
		m.endpoint = endpoint{host: cmp.Or(string(m.Host), "127.0.0.1"), port: int(m.Port)}
		m.look, m.what = m.port, "port "+m.endpoint.String()
	case m.Path != "":
		m.look, m.what = m.path, string(m.Path)
	default:
		u, err := parseURL(m.URL)
		if err != nil {
			return err
		}
		m.look, m.what = m.url, request{url: u}.String()
	}
	return nil
}

// Offline says that the host is not needed when the runner looks.
func (m *waitFor) Offline() bool { return m.ConnectFrom == fromRunner }

func (m *waitFor) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *waitFor) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	limited, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	started, why := time.Now(), ""
	for {
		err := m.look(limited, h.Conn)
		res := engine.Result{Data: map[string]any{"elapsed": sinceThen(started)}}
		if m.status != 0 {
			res.Data["status"] = int64(m.status)
		}
		switch {
		case ctx.Err() != nil:
			return res, context.Cause(ctx)
		case m.Absent && errors.Is(err, errGone), !m.Absent && err == nil:
			return res, nil
		case hopeless(err):
			return res, fmt.Errorf("looking at %s: %w", m.what, err)
		case err == nil:
			why = "it is there"
		case limited.Err() == nil || why == "": // else the look was cut short
			why = err.Error()
		}
		if h.Check {
			res.Message = fmt.Sprintf("%s would be waited for, for up to %s: %s", m.awaited(), m.timeout, why)
			return res, nil
		}
		select {
		case <-limited.Done():
		case <-time.After(m.interval):
		}
		if ctx.Err() == nil && limited.Err() != nil {
			res.Data["elapsed"] = sinceThen(started)
			return res, fmt.Errorf("waited %s in vain for %s: %s", m.timeout, m.awaited(), why)
		}
	}
}

// sinceThen returns how many seconds have gone by.
func sinceThen(t time.Time) float64 { return time.Since(t).Round(time.Millisecond).Seconds() }

// errGone means that what is looked for is not there.
var errGone = errors.New("it is not there")

// hopeless tells whether looking again cannot help.
func hopeless(err error) bool {
	for _, final := range []error{conn.ErrUnreachable, conn.ErrBecome, fs.ErrPermission, errNoProbe, errNoCurl} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// awaited says what is waited for.
func (m *waitFor) awaited() string {
	if m.Absent {
		return m.what + " to be gone"
	}
	return m.what
}

// port fails unless the port takes connections.
func (m *waitFor) port(ctx context.Context, c conn.Conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errors.New("there is no answer"))
	defer cancel()
	if m.ConnectFrom == fromRunner {
		return m.endpoint.dial(ctx)
	}
	return m.endpoint.look(ctx, c)
}

// path fails unless something is at the path.
func (m *waitFor) path(ctx context.Context, c conn.Conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errors.New("there is no answer"))
	defer cancel()
	_, err := c.Stat(ctx, string(m.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return err
}

// url fails unless the server's answer is as expected.
func (m *waitFor) url(ctx context.Context, c conn.Conn) error {
	if m.ConnectFrom == fromRunner {
		c = nil
	}
	u, err := parseURL(m.URL)
	if err != nil {
		return err
	}
	x := exchange{request: request{url: u}, method: http.MethodGet, follow: true, timeout: requestTime}
	r, err := x.run(ctx, c)
	if err != nil {
		return err
	}
	m.status = r.status
	return (&httpModule{Status: m.Status, Search: m.Search}).judge(r)
}
