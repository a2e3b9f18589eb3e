package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// maxCommands is how many commands run at a time on one connection. OpenSSH
	// allows ten sessions; the rest is for SFTP and for ending commands.
	maxCommands = 6
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

	mu     sync.Mutex
	closed bool
	owned  sync.WaitGroup
}

func newTransport(client *gossh.Client, keepAlive time.Duration) *transport {
	t := &transport{client: client, slots: make(chan struct{}, maxCommands), lost: make(chan struct{})}
	t.owned.Go(func() {
		_ = client.Wait()
		close(t.lost)
	})
	t.owned.Go(func() { t.keepAlive(keepAlive) })
	return t
}

// keepAlive asks the host for signs of life, and ends the connection when they
// stay out.
func (t *transport) keepAlive(every time.Duration) {
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
				if missed++; missed >= maxMissed {
					_ = t.client.Close()
					return
				}
				continue
			}
			waiting = true
			t.owned.Go(func() {
				// Any answer is a sign of life, a refusal too.
				if _, _, err := t.client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
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

// errCut is what a command ends with that was under way by then: its lifeline
// ends it once the host notices.
var errCut = fmt.Errorf("%w; the command may still be running", errLost)

// isNetwork reports whether err comes from the network rather than the host.
func isNetwork(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// session is a channel on which one request was made: a command or a subsystem.
type session struct {
	gossh.Channel
	// exited receives how the command ended, and is closed when the channel is.
	exited chan exit
}

// exit is how a command ended.
type exit struct{ code int }

// start opens a channel and makes the request on it.
func (t *transport) start(ctx context.Context, request, payload string) (*session, error) {
	type answer struct {
		s   *session
		err error
	}
	done := make(chan answer)
	over := make(chan struct{})
	defer close(over)
	// Nobody waits for this goroutine: a channel that is asked for just while
	// the connection breaks is never answered by the library.
	go func() {
		s, err := t.insist(ctx, request, payload)
		select {
		case done <- answer{s, err}:
		case <-over:
			if err == nil {
				_ = s.Close()
			}
		}
	}()
	select {
	case a := <-done:
		return a.s, a.err
	case <-t.lost:
		return nil, errLost
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// insist opens a session, asking again for a while when the host has too many:
// commands are ended from sessions of their own, beyond those we count.
func (t *transport) insist(ctx context.Context, request, payload string) (*session, error) {
	pause := firstPause
	for {
		s, err := t.open(request, payload)
		_, refused := errors.AsType[*gossh.OpenChannelError](err)
		if !refused || pause > lastPause {
			return s, err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-t.lost:
			return nil, errLost
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (t *transport) open(request, payload string) (*session, error) {
	select {
	case <-t.lost:
		return nil, errLost
	default:
	}
	ch, requests, err := t.client.OpenChannel("session", nil)
	if err != nil {
		if _, refused := errors.AsType[*gossh.OpenChannelError](err); refused {
			return nil, fmt.Errorf("the host refuses another session: %w", err)
		}
		return nil, errLost
	}
	s := &session{Channel: ch, exited: make(chan exit, 1)}
	if !t.own(func() { s.serve(requests) }) {
		return nil, errLost
	}
	ok, err := ch.SendRequest(request, true, gossh.Marshal(struct{ Text string }{payload}))
	if err == nil && ok {
		return s, nil
	}
	_ = ch.Close()
	if err != nil {
		return nil, errLost
	}
	return nil, &refusedError{request}
}

// refusedError is a request that the host did not grant.
type refusedError struct{ request string }

func (e *refusedError) Error() string { return "the host refuses the request " + e.request }

// serve waits for the command's end, as the host reports it.
func (s *session) serve(requests <-chan *gossh.Request) {
	defer close(s.exited)
	reported := false
	report := func(code int) {
		if !reported {
			s.exited <- exit{code}
			reported = true
		}
	}
	for req := range requests {
		switch req.Type {
		case "exit-status":
			var msg struct{ Status uint32 }
			if gossh.Unmarshal(req.Payload, &msg) == nil {
				report(int(msg.Status))
			}
		case "exit-signal":
			var msg struct {
				Signal     string
				CoreDumped bool
				Error      string
				Lang       string
			}
			if gossh.Unmarshal(req.Payload, &msg) == nil {
				report(128 + signalNumber(msg.Signal))
			}
		}
		if req.WantReply {
			_ = req.Reply(false, nil)
		}
	}
}

// signalNumber is the number of a signal by its name in RFC 4254, section 6.10,
// or as OpenSSH spells others.
func signalNumber(name string) int {
	switch name {
	case "HUP":
		return 1
	case "INT":
		return 2
	case "QUIT":
		return 3
	case "ILL":
		return 4
	case "ABRT":
		return 6
	case "FPE":
		return 8
	case "KILL":
		return 9
	case "USR1":
		return 10
	case "SEGV":
		return 11
	case "USR2":
		return 12
	case "PIPE":
		return 13
	case "ALRM":
		return 14
	case "TERM":
		return 15
	}
	// RFC 4254 leaves room for names of a host's own: such a command was killed,
	// we cannot say by what.
	return 0
}
