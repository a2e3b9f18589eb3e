package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a dialer that counts.
type network struct {
	mu     sync.Mutex
	dialed int
	open   map[*link]bool
	fail   error
}

// link is a connection of a network.
type link struct {
	conn.Conn
	n      *network
	number int
	lost   bool
	silent bool
	// forgotten counts the calls of Forget.
	forgotten int
	// run stands in for Run.
	run func(ctx context.Context) error
	as  map[conn.Become]*link
}

func (n *network) Dial(context.Context, conn.Target) (conn.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	n.dialed++
	l := &link{n: n, number: n.dialed, as: map[conn.Become]*link{}}
	if n.open == nil {
		n.open = map[*link]bool{}
	}
	n.open[l] = true
	return l, nil
}

// opened is how many connections were dialled and how many of them are open.
func (n *network) opened() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%d dialled, %d open", n.dialed, len(n.open))
}

func (l *link) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if !l.n.open[l] {
		return errors.New("closed twice")
	}
	delete(l.n.open, l)
	return nil
}

func (l *link) Lost() bool { return l.lost }

func (l *link) Ping(ctx context.Context) error {
	if l.silent {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

func (l *link) Forget() { l.forgotten++ }

func (l *link) Run(ctx context.Context, _ conn.Cmd) (conn.Output, error) {
	if l.run == nil {
		return conn.Output{}, nil
	}
	return conn.Output{}, l.run(ctx)
}

func (l *link) Stat(ctx context.Context, _ string) (conn.FileInfo, error) {
	_, err := l.Run(ctx, conn.Cmd{})
	return conn.FileInfo{}, err
}

func (l *link) As(_ context.Context, b conn.Become) (conn.Conn, error) {
	if b.User == "" {
		return l, nil
	}
	o, ok := l.as[b]
	if !ok {
		o = &link{n: l.n, run: l.run}
		l.as[b] = o
	}
	return o, nil
}

func (l *link) Open(ctx context.Context, _ string) (io.ReadCloser, error) {
	return io.NopCloser(readerFunc(func([]byte) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var target = conn.Target{Name: "a", Address: "192.0.2.1", User: "deploy", Password: "x"}

// bench is a pool on a network, in a bubble of time.
type bench struct {
	*testing.T
	n *network
	p *Pool
}

func within(t *testing.T, o Options, test func(b bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		b := bench{t, n, New(n, o)}
		test(b)
		if err := b.p.Close(); err != nil {
			t.Error(err)
		}
		if len(n.open) > 0 {
			t.Errorf("at the end: %s", n.opened())
		}
	})
}

func (b bench) dial(t conn.Target) *user {
	b.Helper()
	c, err := b.p.Dial(b.Context(), t)
	if err != nil {
		b.Fatal(err)
	}
	u, ok := c.(*user)
	if !ok {
		b.Fatalf("dialled a %T", c)
	}
	return u
}

func (b bench) close(u *user) {
	b.Helper()
	if err := u.Close(); err != nil {
		b.Error(err)
	}
}

func (b bench) expect(want string) {
	b.Helper()
	if got := b.n.opened(); got != want {
		b.Errorf("%s, want %s", got, want)
	}
}

// beneath is the connection that u is a view of.
func beneath(u *user) *link {
	l, _ := u.c.(*link)
	return l
}

func TestReuse(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		first := b.dial(target)
		// One who is busy does not share.
		second := b.dial(target)
		b.expect("2 dialled, 2 open")
		b.close(first)
		b.close(first)
		b.close(second)
		b.expect("2 dialled, 2 open")
		// The last one used comes first.
		third := b.dial(target)
		if beneath(third) != beneath(second) || beneath(third).forgotten != 1 {
			b.Errorf("got connection %d, forgotten %d times", beneath(third).number, beneath(third).forgotten)
		}
		b.close(third)
		for _, other := range []conn.Target{
			{Name: "a", Address: "192.0.2.1", User: "deploy", Password: "y"},
			{Name: "a", Address: "192.0.2.1", User: "root", Password: "x"},
			{Name: "a", Address: "192.0.2.1", User: "deploy", Password: "x", Jump: "b"},
		} {
			before := b.n.dialed
			b.close(b.dial(other))
			if b.n.dialed != before+1 {
				b.Errorf("%+v shares a connection", other)
			}
		}
	})
}

// What was given back is out of reach, for whoever still holds a part of it.
func TestGivenBack(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u := b.dial(target)
		root, err := u.As(b.Context(), conn.Become{User: "root"})
		if err != nil {
			b.Fatal(err)
		}
		again, err := u.As(b.Context(), conn.Become{User: "root"})
		if err != nil || again != root {
			b.Errorf("the same user is %v, then %v: %v", root, again, err)
		}
		if self, err := u.As(b.Context(), conn.Become{}); err != nil || self != u {
			b.Errorf("the user itself is %v: %v", self, err)
		}
		if err := root.Close(); err != nil {
			b.Error(err)
		}
		if _, err := u.Run(b.Context(), conn.Cmd{}); err != nil {
			b.Errorf("after another user's Close: %v", err)
		}
		b.close(u)
		next := b.dial(target)
		if beneath(next) != beneath(u) {
			b.Error("not the same connection")
		}
		for _, c := range []conn.Conn{u, root} {
			if _, err := c.Run(b.Context(), conn.Cmd{}); !errors.Is(err, conn.ErrUnreachable) {
				b.Errorf("a command on a connection given back: %v", err)
			}
			if _, err := c.Open(b.Context(), "/x"); !errors.Is(err, conn.ErrUnreachable) {
				b.Errorf("a file on a connection given back: %v", err)
			}
		}
		b.close(next)
	})
}

func TestNotKept(t *testing.T) {
	t.Parallel()
	broken := fmt.Errorf("run: %w", conn.ErrUnreachable)
	for name, use := range map[string]func(b bench, u *user){
		"lost in use": func(_ bench, u *user) { beneath(u).lost = true },
		"an operation that found it broken": func(b bench, u *user) {
			beneath(u).run = func(context.Context) error { return broken }
			if _, err := u.Run(b.Context(), conn.Cmd{}); !errors.Is(err, broken) {
				b.Errorf("run: %v", err)
			}
		},
		"another user's": func(b bench, u *user) {
			beneath(u).run = func(context.Context) error { return broken }
			c, err := u.As(b.Context(), conn.Become{User: "root"})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Stat(b.Context(), "/"); !errors.Is(err, broken) {
				b.Errorf("stat: %v", err)
			}
		},
		"a command cut short": func(b bench, u *user) {
			beneath(u).run = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
			ctx, cancel := context.WithTimeout(b.Context(), time.Second)
			defer cancel()
			if _, err := u.Run(ctx, conn.Cmd{}); !errors.Is(err, context.DeadlineExceeded) {
				b.Errorf("run: %v", err)
			}
		},
		"a command under way": func(b bench, u *user) {
			beneath(u).run = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
			go func() {
				if _, err := u.Run(b.Context(), conn.Cmd{}); !errors.Is(err, errClosed) {
					b.Errorf("run: %v", err)
				}
			}()
			synctest.Wait()
		},
		"a file left open": func(b bench, u *user) {
			r, err := u.Open(b.Context(), "/x")
			if err != nil {
				b.Fatal(err)
			}
			go func() {
				if _, err := io.ReadAll(r); !errors.Is(err, errClosed) {
					b.Errorf("read: %v", err)
				}
			}()
			synctest.Wait()
		},
		"trust that ended": func(b bench, _ *user) { b.p.Forget() },
		"age":              func(_ bench, _ *user) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within(t, Options{}, func(b bench) {
				u := b.dial(target)
				use(b, u)
				b.close(u)
				b.expect("1 dialled, 0 open")
			})
		})
	}
}

// A read cut short, or a file that was closed, spoils nothing.
func TestKept(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u := b.dial(target)
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		r, err := u.Open(ctx, "/x")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("read: %v", err)
		}
		if err := r.Close(); err != nil {
			b.Error(err)
		}
		beneath(u).run = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		ctx, cancel = context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if _, err := u.Stat(ctx, "/x"); !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("stat: %v", err)
		}
		b.close(u)
		b.expect("1 dialled, 1 open")
	})
}

func TestBrokenWhileIdle(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u, v := b.dial(target), b.dial(target)
		b.close(u)
		b.close(v)
		beneath(v).lost = true
		if w := b.dial(target); beneath(w) != beneath(u) {
			b.Error("not the connection that is sound")
		} else {
			b.close(w)
		}
		b.expect("2 dialled, 1 open")

		// A host that has gone silent is given up, after a moment: what changes
		// something is not begun, and who dials again gets a new connection.
		beneath(u).silent = true
		beneath(u).run = func(context.Context) error {
			b.Error("it was begun")
			return nil
		}
		time.Sleep(time.Minute)
		began := time.Now()
		w := b.dial(target)
		if beneath(w) != beneath(u) {
			b.Error("not the connection that is there")
		}
		if d := time.Since(began); d != 0 {
			b.Errorf("dialling took %s", d)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if _, err := w.Run(ctx, conn.Cmd{Argv: []string{"x"}}); !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("run: %v", err)
		}
		b.close(w)
		if d := time.Since(began); d != patience {
			b.Errorf("waited %s", d)
		}
		b.expect("2 dialled, 0 open")
		b.close(b.dial(target))
		b.expect("3 dialled, 1 open")
	})
}

// A caller that gives up does not dial.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u := b.dial(target)
		b.close(u)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if _, err := b.p.Dial(ctx, target); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "host a") {
			b.Errorf("dial: %v", err)
		}
		b.expect("1 dialled, 1 open")
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	within(t, Options{Max: 2, Idle: time.Minute, Age: 90 * time.Second}, func(b bench) {
		var users []*user
		for _, name := range []string{"a", "b", "c"} {
			users = append(users, b.dial(conn.Target{Name: name}))
		}
		for _, u := range users {
			b.close(u)
		}
		b.expect("3 dialled, 2 open")
		// The one used least recently had to go.
		b.close(b.dial(conn.Target{Name: "b"}))
		b.close(b.dial(conn.Target{Name: "c"}))
		b.expect("3 dialled, 2 open")
		time.Sleep(59 * time.Second)
		b.close(b.dial(conn.Target{Name: "c"}))
		b.expect("3 dialled, 2 open")
		// b is idle for a minute, c is 90 seconds old later.
		time.Sleep(2 * time.Second)
		b.expect("3 dialled, 1 open")
		time.Sleep(28 * time.Second)
		b.expect("3 dialled, 1 open")
		time.Sleep(2 * time.Second)
		b.expect("3 dialled, 0 open")
	})
	within(t, Options{Max: -1}, func(b bench) {
		b.close(b.dial(target))
		b.expect("1 dialled, 0 open")
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u := b.dial(target)
		b.close(b.dial(target))
		b.expect("2 dialled, 2 open")
		b.p.Forget()
		b.expect("2 dialled, 1 open")
		b.close(u)
		b.close(b.dial(target))
		b.expect("3 dialled, 1 open")
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		u := b.dial(target)
		b.close(b.dial(target))
		beneath(u).run = func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			return context.Cause(ctx)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := u.Run(b.Context(), conn.Cmd{})
			ended <- err
		}()
		synctest.Wait()
		if err := b.p.Close(); err != nil {
			b.Error(err)
		}
		b.expect("2 dialled, 0 open")
		select {
		case err := <-ended:
			if !errors.Is(err, conn.ErrUnreachable) {
				b.Errorf("run: %v", err)
			}
		default:
			b.Error("a command outlives the pool")
		}
		if _, err := b.p.Dial(b.Context(), target); !errors.Is(err, conn.ErrUnreachable) {
			b.Errorf("dial: %v", err)
		}
		b.close(u)
	})
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		b.n.fail = conn.ErrAuth
		if _, err := b.p.Dial(b.Context(), target); !errors.Is(err, conn.ErrAuth) {
			b.Errorf("dial: %v", err)
		}
	})
}

func TestLocalIsNotKept(t *testing.T) {
	t.Parallel()
	within(t, Options{}, func(b bench) {
		c, err := b.p.Dial(b.Context(), conn.Target{Name: "here", Local: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Error(err)
		}
		b.expect("1 dialled, 0 open")
	})
}

// A connection of the pool is as good as the one beneath, the second time too.
func TestConformance(t *testing.T) {
	t.Parallel()
	p := New(local.Dialer{}, Options{})
	t.Cleanup(func() { _ = p.Close() })
	for range 2 {
		c, err := p.Dial(t.Context(), conn.Target{Name: "here"})
		if err != nil {
			t.Fatal(err)
		}
		t.Run("suite", func(t *testing.T) {
			conntest.Run(t, func(*testing.T) conn.Conn { return c })
		})
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
