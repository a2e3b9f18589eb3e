package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// later is a host on which something changes as time goes by.
type later struct {
	conn.Conn
	since time.Time
	// exists says when a path exists, tables what /proc/net holds, run what a
	// program answers.
	exists func(time.Duration) error
	tables map[string]string
	run    func(argv []string, after time.Duration) conn.Output
	ran    []string
}

func (l *later) Stat(context.Context, string) (conn.FileInfo, error) {
	return conn.FileInfo{}, l.exists(time.Since(l.since))
}

func (l *later) Open(_ context.Context, name string) (io.ReadCloser, error) {
	text, ok := l.tables[name]
	if !ok {
		return nil, fmt.Errorf("opening %s: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (l *later) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	l.ran = append(l.ran, c.Argv[0])
	return l.run(c.Argv, time.Since(l.since)), nil
}

func TestWaitForPath(t *testing.T) {
	t.Parallel()
	from := func(at time.Duration) func(time.Duration) error {
		return func(d time.Duration) error {
			if d < at {
				return &fs.PathError{Op: "stat", Path: "/x", Err: fs.ErrNotExist}
			}
			return nil
		}
	}
	until := func(at time.Duration) func(time.Duration) error {
		return func(d time.Duration) error {
			if d < at {
				return nil
			}
			return fs.ErrNotExist
		}
	}
	long, bound, zero := 10*time.Second, 10500*time.Millisecond, time.Duration(0)
	for name, c := range map[string]struct {
		m       waitFor
		exists  func(time.Duration) error
		check   bool
		elapsed float64
		err     string
		message string
	}{
		"at once":       {m: waitFor{}, exists: from(0), elapsed: 0},
		"later":         {m: waitFor{}, exists: from(7500 * time.Millisecond), elapsed: 8},
		"late look":     {m: waitFor{Interval: &long}, exists: from(11 * time.Second), elapsed: 20},
		"never":         {m: waitFor{Timeout: &bound}, exists: from(time.Hour), elapsed: 10.5, err: "waited 10.5s in vain for /x: it is not there"},
		"gone":          {m: waitFor{Absent: true}, exists: until(2 * time.Second), elapsed: 2},
		"stays":         {m: waitFor{Absent: true, Timeout: &bound}, exists: until(time.Hour), elapsed: 10.5, err: "waited 10.5s in vain for /x to be gone: it is there"},
		"broken":        {exists: func(time.Duration) error { return conn.ErrUnreachable }, err: "looking at /x: host unreachable"},
		"broken, gone":  {m: waitFor{Absent: true}, exists: func(time.Duration) error { return conn.ErrUnreachable }, err: "looking at /x: host unreachable"},
		"forbidden":     {exists: func(time.Duration) error { return fs.ErrPermission }, err: "permission denied"},
		"check":         {exists: from(time.Hour), check: true, message: "/x would be waited for, for up to 5m0s: it is not there"},
		"check, there":  {exists: from(0), check: true},
		"zero interval": {m: waitFor{Interval: &zero}, err: "more than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := c.m
				m.Path = "/x"
				err := m.Validate()
				var r engine.Result
				if err == nil {
					h := &engine.Host{Conn: &later{since: time.Now(), exists: c.exists}, Check: c.check}
					r, err = m.Apply(t.Context(), h, engine.Plan{Need: engine.Passive})
				}
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Fatalf("got error %v, want %q", err, c.err)
				}
				if r.Message != c.message {
					t.Errorf("message %q, want %q", r.Message, c.message)
				}
				if r.Data != nil && r.Data["elapsed"] != c.elapsed {
					t.Errorf("elapsed %v, want %v", r.Data["elapsed"], c.elapsed)
				}
			})
		})
	}
}

func TestWaitForIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := waitFor{Path: "/x"}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, errors.New("the run was stopped"))
		defer cancel()
		began := time.Now()
		h := &engine.Host{Conn: &later{since: began, exists: func(time.Duration) error { return fs.ErrNotExist }}}
		if _, err := m.Apply(ctx, h, engine.Plan{}); err == nil || err.Error() != "the run was stopped" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 90*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

const tcpHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestWaitForPort(t *testing.T) {
	t.Parallel()
	const (
		any4   = tcpHead + "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
		local4 = tcpHead + "   0: 0100007F:1F90 00000000:0000 0A 0 0\n"
		other4 = tcpHead + "   0: 0200000A:1F90 00000000:0000 0A 0 0\n   1: 0100007F:1F90 0100007F:D431 01 0 0\n"
		any6   = tcpHead + "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0 0\n"
		local6 = tcpHead + "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0 0\n"
	)
	tables := func(four, six string) map[string]string {
		return map[string]string{"/proc/net/tcp": four, "/proc/net/tcp6": six}
	}
	short := 3500 * time.Millisecond
	missing := conn.Output{Code: 127}
	const unknown = "bash: typo: Name or service not known\nbash: /dev/tcp/typo/8080: Invalid argument\n"
	for name, c := range map[string]struct {
		host   string
		tables map[string]string
		run    func([]string, time.Duration) conn.Output
		err    string
		ran    string
	}{
		"all of v4":              {tables: tables(any4, "")},
		"local":                  {tables: tables(local4, "")},
		"all of v6":              {tables: tables("", any6)},
		"only another address":   {tables: tables(other4, local6), err: "says that nothing takes connections"},
		"only v6":                {tables: tables("", local6), err: "/proc/net/tcp says"},
		"v6":                     {host: "::1", tables: tables("", local6)},
		"v6 is not v4":           {host: "::1", tables: tables(any4, ""), err: "nothing takes connections"},
		"localhost":              {host: "localhost", tables: tables("", local6)},
		"nothing":                {tables: tables("", ""), err: "waited 3.5s in vain for port 127.0.0.1:8080"},
		"no table, bash":         {run: func([]string, time.Duration) conn.Output { return conn.Output{} }, ran: "bash"},
		"elsewhere":              {host: "db", tables: tables(any4, ""), run: func([]string, time.Duration) conn.Output { return conn.Output{Code: 1} }, ran: "bash bash bash bash", err: "bash says"},
		"elsewhere, later":       {host: "db", run: func(_ []string, d time.Duration) conn.Output { return conn.Output{Code: int(max(0, 2-d/time.Second))} }, ran: "bash bash bash"},
		"nothing to look with":   {host: "db", run: func([]string, time.Duration) conn.Output { return missing }, ran: "bash nc python3 curl", err: "none of bash, nc, python3 and curl"},
		"bash built without":     {host: "db", run: only("nc", conn.Output{Code: 1, Stderr: []byte("bash: line 1: /dev/tcp/db/8080: No such file or directory\n")}), ran: "bash nc"},
		"nc without -z":          {host: "db", run: only("python3", conn.Output{Code: 1, Stderr: []byte("nc: invalid option -- 'z'; no such file or directory\n")}), ran: "bash nc python3"},
		"no such name":           {host: "typo", run: func([]string, time.Duration) conn.Output { return conn.Output{Code: 1, Stderr: []byte(unknown)} }, ran: "bash bash bash bash", err: "bash cannot find out the address of typo"},
		"only curl, refused":     {host: "db", run: curlSays("0.000000"), ran: "bash nc python3 curl curl curl curl", err: "curl says"},
		"only curl, and it took": {host: "db", run: curlSays("0.000312"), ran: "bash nc python3 curl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := waitFor{Port: 8080, Host: peerName(c.host), Timeout: &short}
				if err := m.Validate(); err != nil {
					t.Fatal(err)
				}
				l := &later{since: time.Now(), tables: c.tables, run: c.run}
				r, err := m.Apply(t.Context(), &engine.Host{Conn: l}, engine.Plan{})
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("got error %v, want %q", err, c.err)
				}
				if want := time.Since(l.since).Seconds(); r.Data["elapsed"] != want {
					t.Errorf("elapsed is %v, want %v", r.Data["elapsed"], want)
				}
				if got := strings.Join(l.ran, " "); got != c.ran {
					t.Errorf("ran %q, want %q", got, c.ran)
				}
			})
		})
	}
}

// only lets a tool connect; those before it answer otherwise.
func only(tool string, otherwise conn.Output) func([]string, time.Duration) conn.Output {
	return func(argv []string, _ time.Duration) conn.Output {
		if argv[0] == tool {
			return conn.Output{}
		}
		return otherwise
	}
}

func curlSays(took string) func([]string, time.Duration) conn.Output {
	return func(argv []string, _ time.Duration) conn.Output {
		if argv[0] != "curl" {
			return conn.Output{Code: 127}
		}
		return conn.Output{Code: 28, Stdout: []byte(took)}
	}
}

// TestProbes looks at ports of this machine with the real programs.
func TestProbes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := netip.MustParseAddrPort(l.Addr().String())
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	// What is bound and does not listen refuses, and is nobody else's.
	shut, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shut.Close()
	_, closedPort, _ := net.SplitHostPort(shut.LocalAddr().String())
	closed := netip.MustParseAddrPort("127.0.0.1:" + closedPort)
	c := here(t)
	for _, port := range []netip.AddrPort{open, closed} {
		e := &endpoint{host: "127.0.0.1", port: int(port.Port())}
		for _, p := range e.probes() {
			out, err := c.Run(t.Context(), conn.Cmd{Argv: p.argv})
			if err != nil {
				t.Fatal(err)
			}
			if out.Code == 127 || p.unfit(out) {
				continue
			}
			if got := p.open(out); got != (port == open) {
				t.Errorf("%s says open: %v of a port that is open: %v", p.argv[0], got, port == open)
			}
		}
		for what, err := range map[string]error{"dial": e.dial(t.Context()), "look": e.look(t.Context(), c)} {
			if (err == nil) != (port == open) || err != nil && !errors.Is(err, errGone) {
				t.Errorf("%s of a port that is open: %v: %v", what, port == open, err)
			}
		}
	}
}

// TestWaitForAbsentUnresolved makes sure that a name without an address is not taken
// for a port that is closed.
func TestWaitForAbsentUnresolved(t *testing.T) {
	t.Parallel()
	short := 1500 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		m := waitFor{Port: 22, Host: "typo", Absent: true, Timeout: &short}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		l := &later{since: time.Now(), run: func([]string, time.Duration) conn.Output {
			return conn.Output{Code: 1, Stderr: []byte("bash: typo: Temporary failure in name resolution\n")}
		}}
		_, err := m.Apply(t.Context(), &engine.Host{Conn: l}, engine.Plan{})
		if err == nil || !strings.Contains(err.Error(), "cannot find out the address of typo") {
			t.Errorf("got error %v", err)
		}
	})
	e := endpoint{host: "no.such.name.invalid", port: 22}
	if err := e.dial(t.Context()); err == nil || errors.Is(err, errGone) {
		t.Errorf("dial says %v", err)
	}
}

func TestWaitForURL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "state: green")
	}))
	t.Cleanup(srv.Close)
	tenth, half := 50*time.Millisecond, 500*time.Millisecond
	for way, host := range asking(t) {
		h := &engine.Host{}
		if host != nil {
			h.Conn = *host
		}
		for _, c := range []struct {
			m    waitFor
			want string
		}{
			{waitFor{}, "in vain for " + srv.URL + ": the server answered 503"},
			{waitFor{Status: statusList{503}}, ""},
			{waitFor{Status: statusList{503}, Search: pattern{regexp.MustCompile("red$")}}, "does not match search"},
			{waitFor{Status: statusList{503}, Search: pattern{regexp.MustCompile("green$")}}, ""},
		} {
			m := c.m
			m.URL, m.ConnectFrom, m.Interval, m.Timeout = srv.URL, way, &tenth, &half
			_, r, err := enact(t, &m, h)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("from %s: %v, want %q", way, err, c.want)
			}
			if r.Data["status"] != int64(503) {
				t.Errorf("from %s: the result is %v", way, r.Data)
			}
		}
	}
	m := waitFor{URL: "http://127.0.0.1:1/", Timeout: &half}
	if _, _, err := enact(t, &m, &engine.Host{Conn: bare{here(t), "curl", nil}}); !errors.Is(err, errNoCurl) {
		t.Errorf("without curl: %v", err)
	}
}

func TestWaitForRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    waitFor
		want string
	}{
		"nothing":       {waitFor{}, "exactly one of"},
		"two":           {waitFor{Port: 1, Path: "/x"}, "exactly one of"},
		"host":          {waitFor{Path: "/x", Host: "a"}, "host goes with port"},
		"search":        {waitFor{Port: 1, Status: statusList{200}}, "go with url"},
		"url is absent": {waitFor{URL: "http://a/", Absent: true}, "absent goes with"},
		"path":          {waitFor{Path: "/x", ConnectFrom: fromRunner}, "path is on the host"},
		"from":          {waitFor{Port: 1, ConnectFrom: "moon"}, "connect_from must be"},
		"url":           {waitFor{URL: "telnet://a"}, "must begin with http://"},
	} {
		if err := c.m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
