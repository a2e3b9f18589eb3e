package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

// dataDir is the name of a jet-bus's data directory here.
const dataDir = "data"

// backlog is the data directory of a jet-bus that has taken in events, judged them and stopped in
// order. What is measured with it works on a copy.
type backlog struct {
	dir    string
	events int
	// settled is when the server will have forgotten the events' message ids: until then
	// they cost memory, and time at a start, as only a burst of that size does.
	settled time.Time
}

// fillBatch is how many events are stored at once: as many as one batch takes.
const fillBatch = 1000

// fillBacklog makes a backlog of n events in dir, none for n = 0.
func fillBacklog(ctx context.Context, dir string, n int, log *slog.Logger) (_ *backlog, err error) {
	b := &backlog{dir: filepath.Join(dir, dataDir), events: n}
	if n == 0 {
		return b, nil
	}
	contentDir := filepath.Join(dir, "content")
	if err := writeContent(contentDir); err != nil {
		return nil, err
	}
	p, err := busd.Start(ctx, busd.Options{
		Data: b.dir, Content: contentDir, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Sync: busserver.Process,
		MaxStore: roomyStore, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan error, 1)
	go func() { stopped <- p.Run(live) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-stopped)
	}()
	if err := publishBacklog(ctx, p.Bus, n); err != nil {
		return nil, err
	}
	stream, err := p.Bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return nil, fmt.Errorf("store a backlog: %w", err)
	}
	b.settled = time.Now().Add(stream.CachedInfo().Config.Duplicates)
	return b, awaitJudged(ctx, p.Bus, stream.CachedInfo().State.LastSeq)
}

// publishBacklog stores n events that no rule is about, as many at once as a batch takes.
func publishBacklog(ctx context.Context, b *bus.Bus, n int) error {
	subject := bus.EventSubject(bus.ClassExternal, ingestType)
	for from := 0; from < n; from += fillBatch {
		var msgs []*nats.Msg
		for i := from; i < min(from+fillBatch, n); i++ {
			e, err := ingestEvent(fmt.Sprintf("backlog-%d", i))
			if err != nil {
				return err
			}
			m, err := bus.EncodeEvent(subject, e)
			if err != nil {
				return err
			}
			msgs = append(msgs, m)
		}
		if _, err := b.PublishBatch(ctx, msgs); err != nil {
			return fmt.Errorf("store a backlog: %w", err)
		}
	}
	return nil
}

// awaitJudged waits until every event up to a sequence is judged.
func awaitJudged(ctx context.Context, b *bus.Bus, seq uint64) error {
	for {
		judged, err := dispatch.Judged(ctx, b)
		if err != nil || judged >= seq {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("judge a backlog: %d of %d events: %w", judged, seq, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// copyTo puts a copy into the directory dir, once the backlog has settled. What that left to write
// is on the disk then, and not in the way of what is measured.
func (b *backlog) copyTo(ctx context.Context, dir string) error {
	if b.events == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Until(b.settled)):
	}
	if err := os.CopyFS(filepath.Join(dir, dataDir), os.DirFS(b.dir)); err != nil {
		return fmt.Errorf("copy the backlog: %w", err)
	}
	syscall.Sync()
	return nil
}

// storeBytes is how large the store in a data directory is.
func storeBytes(data string) (size int64, err error) {
	err = filepath.WalkDir(filepath.Join(data, "js"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measure the store: %w", err)
	}
	return size, nil
}
