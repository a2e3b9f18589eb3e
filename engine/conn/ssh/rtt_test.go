package ssh_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// delay is the time that the test's network takes in each direction.
const delay = 50 * time.Millisecond

// startDelay passes connections on to a server, every byte delay later, and
// returns its port. The handshake of TCP itself is not delayed.
func startDelay(t *testing.T, to string) (port int) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
			if err != nil {
				t.Error(err)
				_ = in.Close()
				return
			}
			context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
			all.Go(func() { late(out, in) })
			all.Go(func() { late(in, out) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		all.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

// late copies what from says, delay later.
func late(to io.WriteCloser, from io.Reader) {
	type piece struct {
		due  time.Time
		text []byte
	}
	pieces := make(chan piece, 1000)
	var moved sync.WaitGroup
	moved.Go(func() {
		for p := range pieces {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.text)
		}
		_ = to.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pieces <- piece{time.Now().Add(delay), bytes.Clone(buf[:n])}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	moved.Wait()
}

// trips is how many times a message went there and back in d.
func trips(d time.Duration) float64 { return float64(d) / float64(2*delay) }

// Round trips are what a play waits for: they are counted here, as time, so that
// none creeps in.
//
//nolint:paralleltest // time is what it measures
func TestRoundTrips(t *testing.T) {
	s := conntest.StartSSHD(t)
	target := s.Target()
	target.Port = startDelay(t, s.Addr)
	d := ssh.NewDialer(ssh.Options{KnownHosts: []string{filepath.Join(t.TempDir(), "known_hosts")}, AcceptNew: true, FilesAhead: true})
	var c conn.Conn
	for _, step := range []struct {
		name  string
		trips float64
		do    func() error
	}{
		// TCP's own is not among them: versions, key exchange (2), service,
		// "none", key query, signature.
		{"connect", 7, func() (err error) { c, err = d.Dial(t.Context(), target); return err }},
		// The session that is opened at login may still be on its way.
		{"first command", 3, func() error { _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); return err }},
		{"second command", 1, func() error { _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); return err }},
		{"third command", 1, func() error { _, err := c.Run(t.Context(), conn.Cmd{Shell: "true"}); return err }},
		{"command that reads only", 1, func() error {
			_, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}, ReadOnly: true})
			return err
		}},
		{"stat", 1, func() error { _, err := c.Lstat(t.Context(), "/"); return err }},
	} {
		start := time.Now()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		took := trips(time.Since(start))
		t.Logf("%s: %.2f round trips", step.name, took)
		if took > step.trips+0.9 {
			t.Errorf("%s took %.2f round trips, want %v", step.name, took, step.trips)
		}
	}
	defer func() { _ = c.Close() }()
	// The proxy is as near as TCP's own handshake tells.
	if rtt := c.RTT(); rtt <= 0 || rtt > delay {
		t.Errorf("RTT is %s", rtt)
	}
}
