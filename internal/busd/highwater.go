package busd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

const (
	waterFile = "highwater.json"
	// waterEvery is how often the high water is written down when it has risen.
	waterEvery = 10 * time.Second
	// jump is how far a stream that has lost its end goes on beyond the last
	// sequence that was written down: what was given out after that is lost too.
	jump = 1 << 20
	// minRoom is what must be free on the disk of an existing store.
	minRoom = 4 << 20
)

// highWater remembers in a file beside the store how far the streams went, and
// compares when the store is opened: the server itself takes a store that lost its
// end for a shorter one, and gives its sequences out again.
type highWater struct {
	dir    string
	accept bool // go on with what is left
	sync   busserver.SyncMode
	log    *slog.Logger

	record waterRecord
	// ledger is what is known of the block files: of those that were not read at
	// the start, and of those that the scrub has read.
	ledger busserver.Ledger
}

// waterRecord is the file.
type waterRecord struct {
	Written time.Time `json:"written"`
	// Clean is true after the store was closed in order. Boot and Process say what
	// an unclean end may have cost: see [highWater.reused].
	Clean   bool                   `json:"clean"`
	Boot    string                 `json:"boot"`
	Process bool                   `json:"process,omitempty"`
	Streams map[string]*waterLevel `json:"streams"`
	// Untold are the accepted losses that no event tells of yet.
	Untold []events.StoreRewound `json:"untold,omitempty"`
	// Checked are the block files that need not be read if they look as they did,
	// and Server is the version that closed them. Both are there after a clean end only.
	Checked busserver.Ledger `json:"checked,omitempty"`
	Server  string           `json:"server,omitempty"`
}

// open is what the server calls before it opens the store. Its error says what is
// missing, and nothing has been changed then.
func (h *highWater) open() error {
	if err := h.read(); err != nil {
		return err
	}
	h.trust()
	blocks, err := busserver.Inspect(h.dir, h.ledger)
	if err != nil {
		return err
	}
	if err := h.room(len(blocks) > 0); err != nil {
		return err
	}
	wakeups := slices.IndexFunc(blocks, func(b busserver.Blocks) bool { return b.Stream == bus.StreamJobs })
	var old busserver.Blocks
	if wakeups >= 0 {
		old = blocks[wakeups]
		blocks = slices.Delete(blocks, wakeups, wakeups+1)
	}
	lost := h.record.losses(blocks, time.Now())
	if len(lost) > 0 && !h.accept {
		return refusal(h.dir, lost)
	}
	if wakeups >= 0 && !h.record.Clean {
		// Wake-ups are not synced. What is left of them need not be told from what
		// is not: all are sent again.
		if err := old.Remove(); err != nil {
			return err
		}
	}
	if err := h.goOn(blocks, lost); err != nil {
		return err
	}
	if err := h.reused(blocks); err != nil {
		return err
	}
	for _, b := range blocks {
		h.level(b.Stream).rise(b.Last, time.Now())
	}
	h.record.Clean, h.record.Boot, h.record.Process = false, bootID(), h.sync == busserver.Process
	return h.write()
}

// trust takes over what the record knows of the block files, if the server will
// not read and cut them itself: only then may a look at them come later.
func (h *highWater) trust() {
	h.ledger = busserver.Ledger{}
	if h.record.Clean && h.record.Server == busserver.ServerVersion && !h.accept && h.record.Checked != nil {
		h.ledger = h.record.Checked
	}
	h.record.Checked, h.record.Server = nil, ""
}

// room refuses to open a store on a disk that takes no writes: the server would
// come up and then fail at the first.
func (h *highWater) room(exists bool) error {
	free, err := room(h.dir)
	if err != nil || !exists {
		return err // a new store has bounds of its own
	}
	if free < minRoom {
		return fmt.Errorf("the disk of %s is full: %d KiB are free, and %d MiB are the least; make room and start again, nothing is lost",
			h.dir, free>>10, minRoom>>20)
	}
	return nil
}

func (h *highWater) read() error {
	data, err := os.ReadFile(filepath.Join(h.dir, waterFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read how far the store was: %w", err)
	default:
		if err := json.Unmarshal(data, &h.record); err != nil && !h.accept {
			return fmt.Errorf("read how far the store was: %s is damaged: %w; restore a backup, or start once with --accept-loss to go on with the store as it is",
				filepath.Join(h.dir, waterFile), err)
		}
	}
	if h.record.Streams == nil {
		h.record.Streams = make(map[string]*waterLevel)
	}
	return nil
}

func (h *highWater) write() error {
	h.record.Written = time.Now().UTC()
	data, err := json.MarshalIndent(h.record, "", " ")
	if err != nil {
		return fmt.Errorf("write down how far the store is: %w", err)
	}
	if err := busserver.WriteFile(filepath.Join(h.dir, waterFile), append(data, '\n')); err != nil {
		return fmt.Errorf("write down how far the store is: %w", err)
	}
	return nil
}

func (h *highWater) level(stream string) *waterLevel {
	l := h.record.Streams[stream]
	if l == nil {
		l = &waterLevel{}
		h.record.Streams[stream] = l
	}
	return l
}

// goOn takes note of what is lost, and moves the streams that lost it beyond every
// sequence they gave out.
func (h *highWater) goOn(blocks []busserver.Blocks, lost []loss) error {
	next := make(map[string]uint64)
	for _, l := range lost {
		if l.final {
			return fmt.Errorf("%s; this cannot be accepted: restore a backup, or begin with a new data directory", l)
		}
		i := slices.IndexFunc(blocks, func(b busserver.Blocks) bool { return b.Stream == l.Stream })
		level := h.level(l.Stream)
		if _, done := next[l.Stream]; !done {
			to := max(level.Last, blocks[i].Last, l.To) + jump
			skipped, err := blocks[i].Advance(to)
			if err != nil {
				return err
			}
			blocks[i].Last, next[l.Stream] = to, to+1
			level.Gaps = append(level.Gaps, skipped)
		}
		level.Gaps = append(level.Gaps, busserver.Range{From: l.From, To: l.To})
		l.Next, l.Message = next[l.Stream], l.String()
		h.log.Error("going on without what the store has lost, as asked", slog.String("stream", l.Stream),
			slog.Uint64("from", l.From), slog.Uint64("to", l.To), slog.String("lost", l.Message))
		h.record.Untold = append(h.record.Untold, l.StoreRewound)
	}
	return nil
}

// reused sees to it that no sequence is given out twice after a power cut in
// process mode, which takes the last messages of a store, and more than the high
// water can tell of.
func (h *highWater) reused(blocks []busserver.Blocks) error {
	r := h.record
	if r.Written.IsZero() || r.Clean || !r.Process || r.Boot != "" && r.Boot == bootID() {
		return nil
	}
	for i, b := range blocks {
		if !slices.Contains([]string{bus.StreamEvents, bus.StreamRuns}, b.Stream) || b.Last >= h.level(b.Stream).Last+jump {
			continue
		}
		to := b.Last + jump
		skipped, err := b.Advance(to)
		if err != nil {
			return err
		}
		blocks[i].Last = to
		h.level(b.Stream).Gaps = append(h.level(b.Stream).Gaps, skipped)
		h.log.Warn("the machine went down while the store was open in process mode: what was accepted in the last minutes may be lost",
			slog.String("stream", b.Stream), slog.Uint64("goes_on_at", to+1))
	}
	return nil
}

// bootID tells one run of this machine from another; empty where that is not to be had.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// tell stores the events about losses that were accepted.
func (h *highWater) tell(ctx context.Context, b *bus.Bus) error {
	for _, data := range h.record.Untold {
		e, err := events.New("/jet-bus/store", events.TypeStoreRewound, data)
		if err != nil {
			return fmt.Errorf("tell of what the store lost: %w", err)
		}
		if _, err := b.PublishEvent(ctx, bus.ClassOwn, e); err != nil {
			return fmt.Errorf("tell of what the store lost: %w", err)
		}
	}
	h.record.Untold = nil
	return h.note(ctx, b, true)
}

// errWentBack says that a stream has less than it had.
var errWentBack = errors.New("the store went back")

// note writes down how far the streams are, if they have risen or it must. It
// fails with errWentBack, and writes nothing, where they have not.
func (h *highWater) note(ctx context.Context, b *bus.Bus, must bool) error {
	list := b.JS.ListStreams(ctx)
	changed := must
	now := time.Now() // before the answers, so that all that follows is later
	for info := range list.Info() {
		if info.Config.Storage != jetstream.FileStorage || info.Config.Name == bus.StreamJobs {
			continue
		}
		l := h.level(info.Config.Name)
		if lost := info.State.Lost; lost != nil && len(lost.Msgs) > 0 {
			return fmt.Errorf("%w: stream %s has lost messages, the first is %d", errWentBack, info.Config.Name, lost.Msgs[0])
		}
		if info.State.LastSeq < l.Last {
			return fmt.Errorf("%w: stream %s ends at %d and was at %d", errWentBack, info.Config.Name, info.State.LastSeq, l.Last)
		}
		changed = l.rise(info.State.LastSeq, now) || changed
		l.forget(info.State.FirstSeq)
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("see how far the store is: %w", err)
	}
	if !changed {
		return nil
	}
	// A stream is told to be as far as a batch that is not on disk yet. The server reads
	// no message before it is.
	if last := h.level(bus.StreamEvents).Last; last > 0 {
		if _, err := b.Get(ctx, bus.StreamEvents, last); err != nil && !errors.Is(err, bus.ErrNotFound) {
			return fmt.Errorf("see how far the store is: %w", err)
		}
	}
	return h.write()
}

// run keeps the file up to date until ctx ends, and tells suspect of a stream that
// went back.
func (h *highWater) run(ctx context.Context, b *bus.Bus, suspect func(string)) error {
	tick := time.NewTicker(waterEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := h.note(ctx, b, false)
		switch {
		case errors.Is(err, errWentBack):
			suspect(err.Error())
		case err != nil && ctx.Err() == nil:
			h.log.Warn("the high water of the store is not written down", slog.Any("err", err))
		}
	}
}

// close takes note that the store was closed in order, and if it is sound, of what
// need not be read the next time.
func (h *highWater) close(sound bool) {
	h.record.Clean = true
	if sound {
		checked, err := h.ledger.Present(h.dir)
		if err != nil {
			h.log.Warn("what was checked of the store is not written down", slog.Any("err", err))
		}
		h.record.Checked, h.record.Server = checked, busserver.ServerVersion
	}
	if err := h.write(); err != nil {
		h.log.Warn("the end of the store is not written down", slog.Any("err", err))
	}
}
