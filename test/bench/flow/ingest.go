package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
)

// ingest is how fast one jet-bus takes events in; rates are per second.
type ingest struct {
	Rounds []ingestRound `json:"rounds"`
	Syncs  extent        `json:"syncs"`
	// One is a single sender over HTTP, Bus the clients that publish on the bus.
	One  extent   `json:"http_x1"`
	Bus  extent   `json:"bus"`
	HTTP []extent `json:"http"`
	// OnePerSync is One over Syncs, PerBus each of HTTP over Bus, round by round.
	OnePerSync extent   `json:"http_x1_per_sync"`
	PerBus     []extent `json:"http_per_bus"`
}

// ingestRound is one measurement, HTTP in the order of the settings' senders.
type ingestRound struct {
	Syncs float64   `json:"syncs"`
	One   float64   `json:"http_x1"`
	Bus   float64   `json:"bus"`
	HTTP  []float64 `json:"http"`
}

// ingestType is the type of events that no rule is about.
const ingestType = "com.example.ingest"

// ingestEvent makes an event of about a kilobyte.
func ingestEvent(id string) (events.Event, error) {
	e, err := events.New(eventSource, ingestType, map[string]any{"host": hostName(0), "filling": filling})
	if err == nil {
		e.SetID(id)
	}
	return e, err
}

// intake is a jet-bus that takes events in and has nothing to do for them.
type intake struct {
	dir     string
	bus     *busd.Process
	secret  []byte
	clients publisher
	stopped chan error
	cancel  context.CancelFunc
}

// measureIngest measures every way in, round by round, on one server.
func measureIngest(ctx context.Context, s settings, dir string, mode busserver.SyncMode, log *slog.Logger) (r *ingest, err error) {
	in, err := startIntake(ctx, s, dir, mode, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.stop(context.WithoutCancel(ctx))) }()
	if _, err := in.round(ctx, s, min(s.Each, time.Second/2)); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	r = &ingest{}
	for range s.Rounds {
		one, err := in.round(ctx, s, s.Each)
		if err != nil {
			return nil, err
		}
		r.Rounds = append(r.Rounds, one)
	}
	r.summarize(len(s.Senders))
	return r, nil
}

func startIntake(ctx context.Context, s settings, dir string, mode busserver.SyncMode, log *slog.Logger) (_ *intake, err error) {
	contentDir, data := filepath.Join(dir, "content"), filepath.Join(dir, "data")
	if err := writeContent(contentDir); err != nil {
		return nil, err
	}
	in := &intake{dir: dir, secret: newSecret(), stopped: make(chan error, 1)}
	in.bus, err = busd.Start(ctx, busd.Options{
		Data: data, Content: contentDir, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Sync: mode,
		Hooks: hooks(in.secret), MaxStore: roomyStore, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	in.cancel = cancel
	go func() { in.stopped <- in.bus.Run(live) }()
	keys, err := busserver.OpenKeys(filepath.Join(data, "keys"))
	if err == nil {
		in.clients, err = newPublisher(ctx, keys, in.bus.Addr.Bus, s.Clients)
	}
	if err != nil {
		return nil, errors.Join(err, in.stop(context.WithoutCancel(ctx)))
	}
	return in, nil
}

// roomyStore is what a store may take, in bytes: room for the events of the fastest rounds, and of a backlog.
const roomyStore = 16 << 30

func (in *intake) stop(ctx context.Context) error {
	err := in.clients.close(ctx)
	in.cancel()
	return errors.Join(err, <-in.stopped)
}

// round measures each way in for as long as d.
func (in *intake) round(ctx context.Context, s settings, d time.Duration) (r ingestRound, err error) {
	disk, err := measureSyncs(ctx, in.dir, d)
	if err != nil {
		return r, err
	}
	r.Syncs = disk.Rate
	if r.One, err = in.post(ctx, 1, d); err != nil {
		return r, err
	}
	if r.Bus, err = in.publish(ctx, d); err != nil {
		return r, err
	}
	for _, n := range s.Senders {
		rate, err := in.post(ctx, n, d)
		if err != nil {
			return r, fmt.Errorf("%d senders: %w", n, err)
		}
		r.HTTP = append(r.HTTP, rate)
	}
	return r, nil
}

// post has n senders post one event after the other.
func (in *intake) post(ctx context.Context, n int, d time.Duration) (rate float64, err error) {
	address := strings.TrimPrefix(in.bus.Addr.HTTP, "http://")
	wires := make([]*wire, 0, n)
	defer func() {
		for _, w := range wires {
			err = errors.Join(err, w.close())
		}
	}()
	for range n {
		w, err := dialWire(ctx, address, in.secret, rand.Text())
		if err != nil {
			return 0, err
		}
		wires = append(wires, w)
	}
	// Consecutive events go to different hooks: each takes only so many a second.
	return rateOf(ctx, n, d, func(sender, i int) error { return wires[sender].post(i*n + sender) })
}

// publish has all clients publish one event after the other, each waiting for its acknowledgement.
func (in *intake) publish(ctx context.Context, d time.Duration) (float64, error) {
	series := rand.Text()
	return rateOf(ctx, len(in.clients), d, func(client, i int) error {
		e, err := ingestEvent(fmt.Sprintf("%s-%d-%d", series, client, i))
		if err != nil {
			return err
		}
		_, err = in.clients[client].PublishEvent(ctx, bus.ClassExternal, e)
		return err
	})
}

// rateOf has n callers call do one time after the other for as long as d. do is told which caller it
// is and how often that has called before.
func rateOf(ctx context.Context, n int, d time.Duration, do func(caller, i int) error) (float64, error) {
	counts, errs := make([]int, n), make([]error, n)
	var wg sync.WaitGroup
	start := time.Now()
	for caller := range n {
		wg.Go(func() {
			for i := 0; time.Since(start) < d && errs[caller] == nil && ctx.Err() == nil; i++ {
				errs[caller] = do(caller, i)
				counts[caller]++
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	total := 0
	for _, c := range counts {
		total += c
	}
	return float64(total) / took.Seconds(), errors.Join(errors.Join(errs...), ctx.Err())
}

// summarize fills in what follows from the rounds.
func (r *ingest) summarize(senders int) {
	of := func(value func(ingestRound) float64) extent {
		var v []float64
		for _, one := range r.Rounds {
			v = append(v, value(one))
		}
		return extentOf(v)
	}
	r.Syncs = of(func(one ingestRound) float64 { return one.Syncs })
	r.One = of(func(one ingestRound) float64 { return one.One })
	r.Bus = of(func(one ingestRound) float64 { return one.Bus })
	r.OnePerSync = of(func(one ingestRound) float64 { return one.One / one.Syncs })
	for i := range senders {
		r.HTTP = append(r.HTTP, of(func(one ingestRound) float64 { return one.HTTP[i] }))
		r.PerBus = append(r.PerBus, of(func(one ingestRound) float64 { return one.HTTP[i] / one.Bus }))
	}
}

func (r *ingest) write(t *table, s settings) {
	t.row("  taken in per second\tmedian\tlowest\thighest")
	t.span("append and fsync 1 KiB", r.Syncs, "%.0f")
	t.span("webhook, 1 sender", r.One, "%.0f")
	t.span(fmt.Sprintf("bus, %d clients", s.Clients), r.Bus, "%.0f")
	for i, n := range s.Senders {
		t.span(fmt.Sprintf("webhook, %d senders", n), r.HTTP[i], "%.0f")
	}
	t.span("webhook, 1 sender, per fsync", r.OnePerSync, "%.2f")
	for i, n := range s.Senders {
		t.span(fmt.Sprintf("webhook, %d senders, per bus, %d clients", n, s.Clients), r.PerBus[i], "%.2f")
	}
}
