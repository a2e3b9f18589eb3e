package busd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// wholeEvery is how often a cluster is asked whether all servers have their copies.
const wholeEvery = 500 * time.Millisecond

// RestoreOnto makes the streams of a backup on an external bus that has none of
// them, and returns when every server has its copy. After an error some of them
// may be there: only who runs the servers can undo that.
func RestoreOnto(ctx context.Context, from string, to External, log *slog.Logger) (m backup.Manifest, err error) {
	c, err := backup.Open(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	to.Bus.Logger = log
	b, err := bus.Connect(ctx, to.Bus)
	if err != nil {
		return m, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, b.Close(closing))
	}()
	if b.Role != "" && b.Role != "bus" {
		return m, fmt.Errorf("the credentials are those of a %s; to restore takes the role bus, bus.creds of jet-bus cluster init", b.Role)
	}
	if err := loadCluster(ctx, b, c, to.Replicas); err != nil {
		return m, err
	}
	return c.Manifest, whole(ctx, b, c.Streams)
}

// loadCluster fills a cluster that has nothing, and waits for one that is not ready
// yet: its servers may just have been started.
func loadCluster(ctx context.Context, b *bus.Bus, c *backup.Copy, replicas int) error {
	if replicas > 1 && b.Conn.ConnectedClusterName() == "" {
		return errors.New("the bus is a single server, which keeps one copy of everything: give --replicas 1")
	}
	until := time.Now().Add(joinPatience)
	for {
		err := vacant(ctx, b, c.Streams)
		if err == nil {
			if err = c.Load(ctx, b, replicas); err == nil {
				return nil
			}
			looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeCheck)
			partial := errors.Is(vacant(looking, b, c.Streams), errInUse)
			cancel()
			if partial {
				return fmt.Errorf("%w; the servers have a part of the backup now: empty their stores before the next attempt", err)
			}
		}
		if !later(err) || ctx.Err() != nil || time.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(joinAgain):
		}
	}
}

// errInUse means that a bus is not one to restore onto.
var errInUse = errors.New("on the servers already: a backup is restored onto servers with empty stores, before a jet-bus is started on them")

// vacant makes sure that a bus has none of the streams.
func vacant(ctx context.Context, b *bus.Bus, streams []backup.Stream) error {
	for _, s := range streams {
		_, err := b.JS.Stream(ctx, s.Stream)
		switch {
		case err == nil:
			return fmt.Errorf("stream %s is %w", s.Stream, errInUse)
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("look whether stream %s is on the servers: %w", s.Stream, err)
		}
	}
	return nil
}

// whole waits until every server that is to have a copy of the streams has it.
func whole(ctx context.Context, b *bus.Bus, streams []backup.Stream) error {
	for _, s := range streams {
		if err := wholeStream(ctx, b, s.Stream); err != nil {
			return err
		}
	}
	return nil
}

func wholeStream(ctx context.Context, b *bus.Bus, name string) error {
	for {
		stream, err := b.JS.Stream(ctx, name)
		switch {
		case err == nil && everywhere(stream.CachedInfo()):
			return nil
		case err != nil && !later(err):
			return fmt.Errorf("see whether all servers have stream %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("all is restored, but not every server has its copy of %s yet: %w", name, context.Cause(ctx))
		case <-time.After(wholeEvery):
		}
	}
}

// everywhere reports whether all servers have what there is of a stream.
func everywhere(i *jetstream.StreamInfo) bool {
	return i.Cluster == nil || !slices.ContainsFunc(i.Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current })
}
