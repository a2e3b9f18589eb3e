package pool

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	defaultMax  = 64
	defaultIdle = 5 * time.Minute
	defaultAge  = time.Hour
	// fresh is how long a connection is believed in after its last use without
	// asking the host.
	fresh = time.Second
	// patience is how long a host may take to answer for a warm connection. One
	// that takes longer is given up.
	patience = 3 * time.Second
)

// Options bound what a pool keeps. The zero value is fit for use.
type Options struct {
	// Max is how many idle connections are kept; beyond it, the one that was used
	// least recently is closed. Zero means 64.
	Max int
	// Idle is how long an unused connection is kept; zero means five minutes.
	Idle time.Duration
	// Age is how old a connection may be when it is given out again; zero means
	// an hour. Keys and accounts that were withdrawn meanwhile work no longer
	// than that.
	Age time.Duration
}

// Optional methods of connections.
type (
	// loser knows that the connection is lost, without asking the host.
	loser interface{ Lost() bool }
	// pinger asks the host for a sign of life.
	pinger interface {
		Ping(ctx context.Context) error
	}
	// forgetter drops what the connection remembers of the host.
	forgetter interface{ Forget() }
)

// errClosed is what a closed pool, and a connection given back, answer.
var errClosed = fmt.Errorf("the connection is closed: %w", conn.ErrUnreachable)

// Pool is a dialer whose connections go back to it when they are closed. It is
// safe for concurrent use.
//
// A connection belongs to one caller at a time: who dials a host that another job
// is busy on gets a connection of its own. Only equal targets share connections,
// credentials included. A connection is not kept when it broke, or when an
// operation on it was cut short or a file left open. Local targets are not kept
// at all, they cost nothing to open.
type Pool struct {
	dialer conn.Dialer
	o      Options

	mu sync.Mutex
	// idle is the connections waiting for use, the last one used most recently.
	idle []*warm
	// lent is the connections in use.
	lent   map[*lease]struct{}
	closed bool
	// trust counts the calls of Forget.
	trust int
	// ending counts timers that are armed and connections being closed.
	ending sync.WaitGroup
}

// warm is one connection.
type warm struct {
	conn.Conn
	closing sync.Once
	target  conn.Target
	// born is when it was dialled, used when it was given back.
	born, used time.Time
	// trust is the pool's count when it was dialled.
	trust int
	// expire closes it when it was idle, or is in the world, for too long.
	expire *time.Timer
}

// Close implements [conn.Conn], once.
func (w *warm) Close() (err error) {
	w.closing.Do(func() { err = w.Conn.Close() })
	return err
}

var _ conn.Dialer = (*Pool)(nil)

// New returns an empty pool over d.
func New(d conn.Dialer, o Options) *Pool {
	o.Max = cmp.Or(o.Max, defaultMax)
	o.Idle = cmp.Or(o.Idle, defaultIdle)
	o.Age = cmp.Or(o.Age, defaultAge)
	return &Pool{dialer: d, o: o, lent: map[*lease]struct{}{}}
}

// Dial implements [conn.Dialer]. Closing the connection gives it back.
//
// The host of a connection that was idle is asked for a sign of life. Reads do not
// wait for it, so that it costs no time; changes do. When none comes, the
// operations under way fail as those on any lost connection do.
func (p *Pool) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	if t.Local {
		return p.dialer.Dial(ctx, t)
	}
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("connect to host %s: %w", cmp.Or(t.Name, t.Address), context.Cause(ctx))
		}
		w := p.take(t)
		if w == nil {
			return p.dial(ctx, t)
		}
		if l, ok := w.Conn.(loser); !ok || !l.Lost() {
			return p.lend(ctx, w)
		}
		_ = w.Close()
	}
}

func (p *Pool) dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	p.mu.Lock()
	trust, closed := p.trust, p.closed
	p.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	born := time.Now()
	c, err := p.dialer.Dial(ctx, t)
	if err != nil {
		return nil, err
	}
	return p.lend(ctx, &warm{Conn: c, target: t, born: born, trust: trust})
}

// check asks the host of a connection that was idle for a sign of life. One that
// stays silent is given up, and so are its other idle connections, which have no
// better chance.
func (p *Pool) check(ctx context.Context, l *lease, host pinger) {
	defer close(l.checked)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if host.Ping(ctx) == nil {
		return
	}
	l.spoilt.Store(true)
	_ = l.warm.Close()
	p.drop(func(w *warm) bool { return w.target == l.warm.target })
}

// take returns the idle connection to t that was used last, or nil.
func (p *Pool) take(t conn.Target) *warm {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range slices.Backward(p.idle) {
		// One whose timer has run already is being closed.
		if w.target == t && w.expire.Stop() {
			p.ending.Done()
			p.idle = slices.Delete(p.idle, i, i+1)
			return w
		}
	}
	return nil
}

// lend hands a connection out.
func (p *Pool) lend(ctx context.Context, w *warm) (conn.Conn, error) {
	l := &lease{pool: p, warm: w}
	host, ok := w.Conn.(pinger)
	doubtful := ok && !w.used.IsZero() && time.Since(w.used) >= fresh
	if doubtful {
		l.checked = make(chan struct{})
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.lent[l] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		_ = w.Close()
		return nil, errClosed
	}
	if doubtful {
		// The lease's end waits for it.
		go p.check(context.WithoutCancel(ctx), l, host)
	}
	return l.as(w.Conn), nil
}

// giveBack takes a connection back that is in order, or closes it.
func (p *Pool) giveBack(l *lease, sound bool) error {
	w := l.warm
	w.used = time.Now()
	left := min(p.o.Idle, p.o.Age-w.used.Sub(w.born))
	if lo, ok := w.Conn.(loser); ok && lo.Lost() {
		sound = false
	}
	if f, ok := w.Conn.(forgetter); ok && sound {
		f.Forget()
	}
	p.mu.Lock()
	delete(p.lent, l)
	if !sound || p.closed || w.trust != p.trust || left <= 0 || p.o.Max < 1 {
		p.mu.Unlock()
		return w.Close()
	}
	p.ending.Add(1)
	w.expire = time.AfterFunc(left, func() {
		defer p.ending.Done()
		p.mu.Lock()
		p.idle = slices.DeleteFunc(p.idle, func(o *warm) bool { return o == w })
		p.mu.Unlock()
		_ = w.Close()
	})
	p.idle = append(p.idle, w)
	var oldest *warm
	if len(p.idle) > p.o.Max {
		oldest = p.idle[0]
	}
	p.mu.Unlock()
	if oldest != nil {
		p.drop(func(w *warm) bool { return w == oldest })
	}
	return nil
}

// drop closes idle connections, at the same time, and waits for it.
func (p *Pool) drop(which func(*warm) bool) {
	var gone []*warm
	p.mu.Lock()
	p.idle = slices.DeleteFunc(p.idle, func(w *warm) bool {
		// One whose timer has run already is being closed.
		if !which(w) || !w.expire.Stop() {
			return false
		}
		p.ending.Done()
		gone = append(gone, w)
		return true
	})
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, w := range gone {
		closing.Go(func() { _ = w.Close() })
	}
	closing.Wait()
}

// Forget closes all idle connections, and those in use once they are given back:
// what they were opened with is not to be relied on any more.
func (p *Pool) Forget() {
	p.mu.Lock()
	p.trust++
	p.mu.Unlock()
	p.drop(func(*warm) bool { return true })
}

// Close closes all connections, those in use included, and waits for it. Nothing
// can be dialled any more.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	lent := make([]*lease, 0, len(p.lent))
	for l := range p.lent {
		lent = append(lent, l)
	}
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, l := range lent {
		closing.Go(func() { _ = l.close() })
	}
	p.drop(func(*warm) bool { return true })
	closing.Wait()
	p.ending.Wait()
	return nil
}
