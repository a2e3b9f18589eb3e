package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// writeSize is how much one write of the floor takes, in bytes: about what an event does.
const writeSize = 1 << 10

// bare is the floor: what the stream of events does with nothing behind it, in messages per second.
type bare struct {
	One  float64 `json:"publish_x1"`
	Many float64 `json:"publish_many"`
}

// measureBare publishes messages of [writeSize] into the stream of events of a server of its own,
// over TCP, each acknowledged before the next: by one publisher, then by as many as the flow has.
func measureBare(ctx context.Context, s settings, dir string, mode busserver.SyncMode) (r bare, err error) {
	server, err := busserver.Start(ctx, busserver.Options{Dir: dir, Listen: "127.0.0.1:0", Sync: mode})
	if err != nil {
		return r, err
	}
	defer server.Shutdown()
	var conns []*bus.Bus
	defer func() { err = errors.Join(err, closeAll(context.WithoutCancel(ctx), conns)) }()
	for i := range s.Publishers {
		b, err := connect(ctx, server.Keys(), server.URL(), busserver.RoleBus, fmt.Sprintf("bare-%d", i))
		if err != nil {
			return r, err
		}
		conns = append(conns, b)
	}
	if err := conns[0].Create(ctx, bus.Limits{}); err != nil {
		return r, err
	}
	if _, err := publishRate(ctx, conns, bareTime/3); err != nil { // warm-up
		return r, err
	}
	if r.One, err = publishRate(ctx, conns[:1], bareTime); err != nil {
		return r, err
	}
	r.Many, err = publishRate(ctx, conns, bareTime)
	return r, err
}

// publishRate publishes on all of conns at once for as long as d.
func publishRate(ctx context.Context, conns []*bus.Bus, d time.Duration) (float64, error) {
	subject := bus.EventSubject(bus.ClassExternal, "com.example.bare")
	body := bytes.Repeat([]byte("x"), writeSize)
	counts, errs := make([]int, len(conns)), make([]error, len(conns))
	var wg sync.WaitGroup
	start := time.Now()
	for i, b := range conns {
		wg.Go(func() {
			for time.Since(start) < d && errs[i] == nil {
				msg := &nats.Msg{Subject: subject, Header: nats.Header{nats.MsgIdHdr: {rand.Text()}}, Data: body}
				_, _, errs[i] = b.Publish(ctx, msg)
				counts[i]++
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}

// syncs is what the disk does: how many writes a second it keeps, one after the other, and how long
// the slowest of a hundred takes.
type syncs struct {
	Rate float64 `json:"rate"`
	P99  float64 `json:"p99_ms"`
}

// measureSyncs appends [writeSize] bytes to a file of dir and has the disk keep them, one after the
// other for as long as d.
func measureSyncs(ctx context.Context, dir string, d time.Duration) (s syncs, err error) {
	name := filepath.Join(dir, "sync")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return s, fmt.Errorf("measure the disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	body := bytes.Repeat([]byte("x"), writeSize)
	var each []time.Duration
	start := time.Now()
	for last := start; last.Sub(start) < d; {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if _, err := f.Write(body); err != nil {
			return s, fmt.Errorf("measure the disk: %w", err)
		}
		if err := f.Sync(); err != nil {
			return s, fmt.Errorf("measure the disk: %w", err)
		}
		now := time.Now()
		each = append(each, now.Sub(last))
		last = now
	}
	s.Rate = float64(len(each)) / time.Since(start).Seconds()
	s.P99 = spreadOf(each).P99
	return s, nil
}

// connect opens a connection over TCP, as another process would.
func connect(ctx context.Context, keys *busserver.Keys, url string, role busserver.Role, name string) (*bus.Bus, error) {
	creds, err := keys.Issue(role, name, 0)
	if err != nil {
		return nil, err
	}
	return bus.Connect(ctx, bus.Options{URL: url, Creds: creds, Name: name})
}

// closeTimeout bounds the end of what the measuring started.
const closeTimeout = 20 * time.Second

func closeAll(ctx context.Context, conns []*bus.Bus) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	var errs []error
	for _, b := range conns {
		errs = append(errs, b.Close(ctx))
	}
	return errors.Join(errs...)
}
