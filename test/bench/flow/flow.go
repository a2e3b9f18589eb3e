package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/runner"
)

// flow is a running jet-bus with its runners, publishers and a viewer. All but the bus itself are
// connected over TCP with credentials of their role.
type flow struct {
	dir    string
	bus    *busd.Process
	conns  []*bus.Bus // of runners and viewer, closed at the end
	view   *view
	send   sender
	next   int           // number of the next event
	drain  chan struct{} // closed to have the runners finish
	cancel context.CancelFunc
	// The goroutines, in the order in which they end; what went wrong in them is in errs.
	viewing, running, serving sync.WaitGroup
	errs                      *faults
}

// sender has an event accepted. i tells which of the publishers does it, any i.
type sender interface {
	send(ctx context.Context, i int, e events.Event) error
	close(ctx context.Context) error
}

// faults gathers errors of goroutines.
type faults struct {
	mu   sync.Mutex
	errs []error
}

func (f *faults) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *faults) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

// startFlow starts everything in dir, with so many runners. On an error nothing is left running.
func startFlow(ctx context.Context, s settings, dir string, runners int, mode busserver.SyncMode, log *slog.Logger) (_ *flow, err error) {
	f := &flow{dir: dir, drain: make(chan struct{}), errs: &faults{}}
	contentDir, data := filepath.Join(dir, "content"), filepath.Join(dir, dataDir)
	if err := writeContent(contentDir); err != nil {
		return nil, err
	}
	// The flow ends by stop, in order, also when ctx does.
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.cancel = cancel
	secret := newSecret()
	f.bus, err = busd.Start(ctx, busd.Options{
		Data: data, Content: contentDir, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Sync: mode,
		Hooks: hooks(secret), Logger: log,
	})
	if err != nil {
		cancel()
		return nil, err
	}
	f.serving.Go(func() {
		if err := f.bus.Run(live); err != nil {
			f.errs.add(fmt.Errorf("run the bus: %w", err))
		}
	})
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop(context.WithoutCancel(ctx)))
		}
	}()
	keys, err := busserver.OpenKeys(filepath.Join(data, "keys"))
	if err != nil {
		return nil, err
	}
	if err := f.startView(ctx, live, keys); err != nil {
		return nil, err
	}
	for i := range runners {
		if err := f.startRunner(ctx, live, keys, fmt.Sprintf("runner-%d", i), s.Slots, log); err != nil {
			return nil, err
		}
	}
	if s.HTTP {
		f.send = newPoster(f.bus.Addr.HTTP, secret, s.Publishers)
		return f, nil
	}
	f.send, err = newPublisher(ctx, keys, f.bus.Addr.Bus, s.Publishers)
	return f, err
}

// dial opens a connection that lives as long as the flow.
func (f *flow) dial(ctx context.Context, keys *busserver.Keys, role busserver.Role, name string) (*bus.Bus, error) {
	b, err := connect(ctx, keys, f.bus.Addr.Bus, role, name)
	if err != nil {
		return nil, err
	}
	f.conns = append(f.conns, b)
	return b, nil
}

func (f *flow) startView(ctx, live context.Context, keys *busserver.Keys) error {
	b, err := f.dial(ctx, keys, busserver.RoleViewer, "viewer")
	if err != nil {
		return err
	}
	f.view = newView()
	f.viewing.Go(func() {
		if err := f.view.follow(live, b); err != nil {
			f.errs.add(err)
		}
	})
	return nil
}

func (f *flow) startRunner(ctx, live context.Context, keys *busserver.Keys, name string, slots int, log *slog.Logger) error {
	b, err := f.dial(ctx, keys, busserver.RoleRunner, name)
	if err != nil {
		return err
	}
	r, err := runner.New(ctx, runner.Options{
		Bus: b, Name: name, Slots: slots, CacheDir: filepath.Join(f.dir, "cache-"+name), Dialer: local.Dialer{}, Logger: log,
	})
	if err != nil {
		return err
	}
	f.running.Go(func() {
		if err := r.Run(live, f.drain); err != nil {
			f.errs.add(fmt.Errorf("run runner %s: %w", name, err))
		}
	})
	return nil
}

// stop stops everything, in the order in which it depends on each other, and returns what went
// wrong while it ran.
func (f *flow) stop(ctx context.Context) error {
	if f.send != nil {
		if err := f.send.close(ctx); err != nil {
			f.errs.add(err)
		}
	}
	close(f.drain)
	f.running.Wait()
	f.cancel()
	f.viewing.Wait()
	if err := closeAll(ctx, f.conns); err != nil {
		f.errs.add(err)
	}
	f.serving.Wait()
	return f.errs.err()
}
