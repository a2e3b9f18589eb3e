package ssh

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// maxCommands is how many commands run at a time on one connection. OpenSSH
	// allows ten sessions; the rest is for SFTP and for ending commands.
	maxCommands = 6
	// maxSessions is how many sessions there may be for others to be opened ahead.
	maxSessions = 8
	// ahead is how many sessions are kept open for the commands to come, which
	// then cost one round trip. One is taken while its successor is on its way.
	ahead = 2
	// firstPause and lastPause bound the waiting between two attempts to open a
	// session that the host refuses; each is twice as long as the one before.
	firstPause = 25 * time.Millisecond
	lastPause  = 800 * time.Millisecond
	// maxMissed is how many signs of life may stay out.
	maxMissed = 3
)

// transport is one SSH connection, shared by all users on it.
type transport struct {
	client *gossh.Client
	slots  chan struct{}
	// lost is closed when the connection is over.
	lost chan struct{}
	rtt  shortest
	// below is what the connection runs through, closed with it.
	below io.Closer
	agent lending

	mu     sync.Mutex
	closed bool
	owned  sync.WaitGroup
	// sessions counts those that are open or asked for; idle are those opened
	// ahead, coming how many more of them are asked for.
	sessions, coming int
	idle             []*session
	// frugal says that the host refused a session: none is opened ahead then.
	frugal bool
}

func newTransport(client *gossh.Client, keepAlive time.Duration, missed int, below io.Closer) *transport {
	t := &transport{
		client: client, slots: make(chan struct{}, maxCommands), lost: make(chan struct{}), below: below,
	}
	t.owned.Go(func() {
		_ = client.Wait()
		close(t.lost)
	})
	t.owned.Go(func() { t.keepAlive(keepAlive, missed) })
	return t
}

// shortest keeps the shortest time seen.
type shortest struct{ d atomic.Int64 }

func (s *shortest) see(d time.Duration) {
	for {
		old := s.d.Load()
		if d <= 0 || old > 0 && int64(d) >= old || s.d.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

func (s *shortest) get() time.Duration { return time.Duration(s.d.Load()) }

// keepAlive asks the host for signs of life, and ends the connection when they
// stay out.
func (t *transport) keepAlive(every time.Duration, allowed int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	missed, waiting := 0, false
	for {
		select {
		case <-t.lost:
			return
		case <-answered:
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				if missed++; missed >= allowed {
					_ = t.client.Close()
					return
				}
				continue
			}
			waiting = true
			t.owned.Go(func() {
				asked := time.Now()
				// Any answer is a sign of life, a refusal too.
				if _, _, err := t.client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
					t.rtt.see(time.Since(asked))
					answered <- struct{}{}
				}
			})
		}
	}
}

// close ends the connection and waits for what runs over it.
func (t *transport) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	_ = t.client.Close()
	t.owned.Wait()
	_ = t.below.Close()
}

// own runs f in a goroutine that close waits for, unless it is too late for that.
func (t *transport) own(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.owned.Go(f)
	return true
}

// acquire waits for a command's turn.
func (t *transport) acquire(ctx context.Context) (release func(), err error) {
	// A select with several ways open takes any of them.
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case t.slots <- struct{}{}:
		return func() { <-t.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.lost:
		return nil, errLost
	}
}

// over waits for the news that the connection is lost, which come a moment after
// its channels have ended.
func (t *transport) over() {
	late := time.NewTimer(lastPause)
	defer late.Stop()
	select {
	case <-t.lost:
	case <-late.C:
	}
}

// errLost is what everything ends with once the connection is over.
var errLost = fmt.Errorf("%w: the connection is lost", conn.ErrUnreachable)

// explain says what ended a session, when the connection's end did.
func (t *transport) explain(err error) error {
	select {
	case <-t.lost:
		return errLost
	default:
		return err
	}
}

// errCut is what a command ends with that was under way by then: its lifeline
// ends it once the host notices.
var errCut = fmt.Errorf("%w; the command may still be running", errLost)
