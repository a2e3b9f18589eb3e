package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

const (
	// fillWarn and fillFault are shares of what a stream may hold, in percent.
	fillWarn, fillFault = 80, 98
	// diskFault is the least that a disk should have free, in bytes.
	diskFault = 64 << 20
)

// store asks for what jet-bus itself has seen of its files.
func (e *examination) store(ctx context.Context) error {
	damage, err := e.bus.Damage(ctx)
	switch {
	case err != nil:
		return err
	case damage != "":
		e.fault("stop jet-bus, look after the disk, and restore a backup", "%s; no event is judged and no job is made until then", damage)
	default:
		e.ok("jet-bus has met no damage in it")
	}
	return nil
}

func (e *examination) streams(ctx context.Context) error {
	diffs, err := e.bus.Drift(ctx)
	if err != nil {
		return err
	}
	if len(diffs) > 0 {
		e.fault("start the jet-bus of this version on it, which mends that; what it cannot change it says", "%s", strings.Join(diffs, "; "))
		return nil
	}
	e.ok("every stream and bucket is as this version makes it")
	return nil
}

func (e *examination) fill(ctx context.Context) error {
	for _, name := range []string{bus.StreamEvents, bus.StreamRuns} {
		s, err := e.bus.JS.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("look at stream %s: %w", name, err)
		}
		i := s.CachedInfo()
		most := i.Config.MaxBytes
		if most <= 0 {
			e.ok("%s holds %d messages, without a bound", name, i.State.Msgs)
			continue
		}
		used := int64(min(i.State.Bytes, uint64(most))) //nolint:gosec // not above an int64
		e.room += most - used
		percent := used / max(most/100, 1)
		text := fmt.Sprintf("%s holds %d messages and is full to %d %% of %d MiB", name, i.State.Msgs, percent, most>>20)
		const do = "raise --max-store of jet-bus, or have less published; what is oldest goes by itself after the stream's time"
		switch {
		case percent >= fillFault:
			e.fault(do, "%s: it refuses what does not fit", text)
		case percent >= fillWarn:
			e.warn(do, "%s: it will refuse what does not fit", text)
		default:
			e.ok("%s", text)
		}
	}
	return nil
}

// disk is only looked at where it is ours to see.
func (e *examination) disk(context.Context) error {
	if e.o.Data == "" {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(e.o.Data, &st); err != nil {
		return fmt.Errorf("see how much room %s has: %w", e.o.Data, err)
	}
	free := int64(st.Bavail) * int64(st.Bsize) //nolint:gosec,unconvert // other systems have other types; no disk has more blocks than an int64
	text := fmt.Sprintf("%s has %d MiB free", e.o.Data, free>>20)
	const do = "free some room, or move the data directory: a full disk stops the bus"
	switch {
	case free < diskFault:
		e.fault(do, "%s", text)
	case free < e.room:
		e.warn(do, "%s, and the streams may grow by %d MiB", text, e.room>>20)
	default:
		e.ok("%s", text)
	}
	return nil
}

func (e *examination) durability(ctx context.Context) error {
	const do = "start jet-bus with --durability power where a power cut must lose nothing"
	kv, err := e.bus.JS.KeyValue(ctx, bus.BucketConfig)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.BucketConfig, err)
	}
	v, err := kv.Get(ctx, bus.KeyDurability)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		e.warn("start the jet-bus of this version on it, which records it", "not known: the bus was last started by an older version")
	case err != nil:
		return fmt.Errorf("read the durability: %w", err)
	case string(v.Value()) == "power":
		e.ok("power: what is accepted is on disk, and survives a power cut as far as the disk keeps what it has confirmed")
	default:
		e.warn(do, "%s: what is accepted survives a crash of jet-bus; a power cut or a crash of the machine may lose "+
			"the last two minutes of events, jobs and results", v.Value())
	}
	return nil
}

func (e *examination) rules(ctx context.Context) error {
	all, err := dispatch.Activations(ctx, e.bus)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		e.fault("start jet-bus with the --content that holds the rules", "no rule set was ever in force")
		return nil
	}
	last := all[len(all)-1]
	store, err := e.bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return fmt.Errorf("open the bundle store: %w", err)
	}
	if _, err := store.GetInfo(ctx, last.Bundle); errors.Is(err, jetstream.ErrObjectNotFound) {
		e.fault("restart jet-bus with its --content, which stores it again", "the content %.12s of the rule set in force is not on the bus", last.Bundle)
		return nil
	} else if err != nil {
		return fmt.Errorf("look up the content in force: %w", err)
	}
	revision := ""
	if last.Revision != "" {
		revision = fmt.Sprintf(" of revision %.12s", last.Revision)
	}
	e.ok("set %.12s with content %.12s%s is in force since event %d", last.RuleSet, last.Bundle, revision, last.Since)
	return nil
}
