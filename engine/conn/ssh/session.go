package ssh

import (
	"context"
	"errors"
	"fmt"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// session is a channel for one request: a command or a subsystem.
type session struct {
	gossh.Channel
	// exited receives how the command ended, and is closed when the channel is.
	exited chan exit
	// granted is closed when the host has answered the request; refusal says how.
	granted chan struct{}
	refusal error
}

// exit is how a command ended.
type exit struct{ code int }

// refusedError is a request that the host did not grant.
type refusedError struct{ request string }

func (e *refusedError) Error() string { return "the host refuses the request " + e.request }

// session returns one that nothing was asked of yet: the one that was opened
// ahead, or a new one.
func (t *transport) session(ctx context.Context) (*session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if s := t.take(); s != nil {
		return s, nil
	}
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
		s, err := t.insist(ctx)
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

// take returns a session that was opened ahead, or nil.
func (t *transport) take() *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.idle) > 0 {
		s := t.idle[0]
		t.idle = t.idle[1:]
		select {
		case <-s.exited:
			// The host has closed it meanwhile.
		default:
			return s
		}
	}
	return nil
}

// refill opens sessions ahead, as many as are missing.
func (t *transport) refill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.closed && !t.frugal && len(t.idle)+t.coming < ahead && t.sessions < maxSessions {
		t.coming++
		t.sessions++
		// Nobody waits for it, see session.
		go func() {
			s, err := t.open()
			t.mu.Lock()
			defer t.mu.Unlock()
			t.coming--
			if err == nil {
				t.idle = append(t.idle, s)
			} else {
				t.frugal = true
			}
		}()
	}
}

// insist opens a session, asking again for a while when the host has too many:
// commands are ended from sessions of their own, beyond those we count.
func (t *transport) insist(ctx context.Context) (*session, error) {
	pause := firstPause
	for {
		t.mu.Lock()
		t.sessions++
		t.mu.Unlock()
		s, err := t.open()
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
		if s := t.take(); s != nil {
			return s, nil
		}
	}
}

// open opens a session, which the caller has counted already.
func (t *transport) open() (*session, error) {
	gone := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sessions--
	}
	select {
	case <-t.lost:
		gone()
		return nil, errLost
	default:
	}
	asked := time.Now()
	ch, requests, err := t.client.OpenChannel("session", nil)
	if err != nil {
		gone()
		if _, refused := errors.AsType[*gossh.OpenChannelError](err); refused {
			return nil, fmt.Errorf("the host refuses another session: %w", err)
		}
		return nil, errLost
	}
	t.rtt.see(time.Since(asked))
	s := &session{Channel: ch, exited: make(chan exit, 1), granted: make(chan struct{})}
	if !t.own(func() {
		s.serve(requests)
		gone()
	}) {
		return nil, errLost
	}
	return s, nil
}

// ask makes the session's request and returns when it is answered.
func (s *session) ask(request, payload string) error {
	defer close(s.granted)
	ok, err := s.SendRequest(request, true, gossh.Marshal(struct{ Text string }{payload}))
	switch {
	case err != nil:
		s.refusal = errLost
	case !ok:
		s.refusal = &refusedError{request}
	default:
		return nil
	}
	_ = s.Close()
	return s.refusal
}

// start opens a session and makes the request on it.
func (t *transport) start(ctx context.Context, request, payload string) (*session, error) {
	s, err := t.session(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	asked := make(chan error, 1)
	go func() { asked <- s.ask(request, payload) }()
	t.refill()
	select {
	case err = <-asked:
	case <-t.lost:
		err = errLost
	case <-ctx.Done():
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

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
