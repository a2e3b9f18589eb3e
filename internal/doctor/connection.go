package doctor

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"

	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// expiresSoon is how long before their end credentials are worth a word.
	expiresSoon = 7 * 24 * time.Hour
	// clockOff is how much two clocks may differ.
	clockOff = 2 * time.Second
	// slowAnswer is how long the way to the bus and back may take.
	slowAnswer = 500 * time.Millisecond
)

func (e *examination) connection(context.Context) error {
	took, err := e.bus.Conn.RTT()
	if err != nil {
		return fmt.Errorf("ask the bus: %w", err)
	}
	text := fmt.Sprintf("%s as %s, role %s, answers in %s", e.bus.Conn.ConnectedUrlRedacted(), e.bus.User, e.bus.Role, took.Round(100*time.Microsecond))
	switch {
	case e.bus.Role != "admin" && e.bus.Role != "viewer" && e.bus.Role != "bus":
		e.fault("give credentials of the role admin or viewer with --creds", "%s: this role cannot see what is to be checked", text)
	case took > slowAnswer:
		e.warn("look for what is slow: the network, or the machine of the bus", "%s", text)
	default:
		e.ok("%s", text)
	}
	return nil
}

func (e *examination) credentials(context.Context) error {
	info, err := os.Stat(e.o.CredsFile)
	if err != nil {
		return fmt.Errorf("read bus credentials: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		e.fault("chmod 600 "+e.o.CredsFile, "%s can be read by others", e.o.CredsFile)
		return nil
	}
	text, err := os.ReadFile(e.o.CredsFile)
	if err != nil {
		return fmt.Errorf("read bus credentials: %w", err)
	}
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		return fmt.Errorf("read bus credentials %s: %w", e.o.CredsFile, err)
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return fmt.Errorf("read bus credentials %s: %w", e.o.CredsFile, err)
	}
	if user.Expires == 0 {
		e.ok("%s, for its owner only, does not expire", e.o.CredsFile)
		return nil
	}
	end := time.Unix(user.Expires, 0)
	left := time.Until(end)
	text2 := fmt.Sprintf("%s, for its owner only, expires at %s", e.o.CredsFile, end.UTC().Format("2006-01-02 15:04 MST"))
	if left < expiresSoon {
		e.warn("make new ones on the machine of the bus: jet-bus user add", "%s", text2)
		return nil
	}
	e.ok("%s", text2)
	return nil
}

// server only reports: a bus that is too old is refused when connecting.
func (e *examination) server(context.Context) error {
	_, level := e.bus.Conn.ConnectedServerJetStream()
	e.ok("nats-server %s, JetStream API level %d", e.bus.Conn.ConnectedServerVersion(), level)
	return nil
}

// clocks compares the time that the server puts into an answer with ours.
func (e *examination) clocks(ctx context.Context) error {
	before := time.Now()
	s, err := e.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", bus.StreamEvents, err)
	}
	way := time.Since(before)
	e.tellClock(s.CachedInfo().TimeStamp.Sub(before.Add(way/2)), way)
	return nil
}

// tellClock judges by how much the server's clock is ahead, where the answer that
// told it was on its way for as long as way.
func (e *examination) tellClock(ahead, way time.Duration) {
	e.clock = ahead
	differ := ahead.Abs().Round(time.Millisecond)
	if ahead.Abs() <= clockOff+way/2 {
		e.ok("that of the bus and this machine's differ by %s", differ)
		return
	}
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	e.warn("keep both clocks in step, by chrony or systemd-timesyncd; leases do not depend on it, the times of events and credentials do",
		"the clock of the bus is %s %s this machine's", differ, which)
}
