package ordered

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
)

const (
	snapshotFormat = 1
	// keepNewest is how many snapshots are kept beside the first of each day.
	keepNewest = 3
	// farewell is how long the last snapshot may take when the evaluator stops.
	farewell = 2 * time.Second
	// patience is how many times as long as a snapshot took there is none.
	patience = 20

	statesStream = "OBJ_" + bus.ObjectsStates
	statesData   = "$O." + bus.ObjectsStates + ".C.>"
)

// snapshot is what is kept of a fold, so that another need not begin before it.
type snapshot struct {
	Format int `json:"format"`
	// Seq is the last event in it, At when that was stored: by both together another
	// stream is recognised.
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	RuleSet string    `json:"rule_set"`
	Bundle  string    `json:"bundle"`
	// Decided is a sequence on DECISIONS behind which are the decisions about all
	// events after Seq.
	Decided  uint64                       `json:"decided"`
	Full     map[string]time.Time         `json:"full,omitempty"`
	Looped   map[string]time.Time         `json:"looped,omitempty"`
	Breakers map[string]*dispatch.Breaker `json:"breakers,omitempty"`

	state []byte
}

// encode gives the object: a line of JSON, and the state after it.
func (s snapshot) encode() (name string, data []byte, err error) {
	head, err := json.Marshal(s)
	if err != nil {
		return "", nil, fmt.Errorf("encode the snapshot at event %d: %w", s.Seq, err)
	}
	data = append(append(head, '\n'), s.state...)
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%020d-%s", s.Seq, hex.EncodeToString(sum[:8])), data, nil
}

func decodeSnapshot(data []byte) (s snapshot, err error) {
	head, state, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return s, errors.New("it is cut off")
	}
	if err := json.Unmarshal(head, &s); err != nil {
		return s, fmt.Errorf("decode its head: %w", err)
	}
	if s.Format != snapshotFormat {
		return s, fmt.Errorf("it has format %d, this version reads %d", s.Format, snapshotFormat)
	}
	s.state = state
	return s, nil
}

// snapshotSeq is the event that a snapshot is of, by its name; 0 for another object.
func snapshotSeq(o bus.Object) uint64 { return seqOf(o.Name, "-") }

// seqOf returns the sequence that a name begins with, 0 if none.
func seqOf(name, sep string) uint64 {
	seq, _, _ := strings.Cut(name, sep)
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// snapshots is the part of a fold that keeps them.
type snapshots struct {
	// decided is the last sequence on DECISIONS that is known.
	decided uint64
	// count is how many events came since the last snapshot; due is true if there
	// must be one whatever came.
	count int
	due   bool
	next  time.Time // when there may be one

	mu      sync.Mutex
	running chan struct{} // closed when the one that is being stored is; nil if none is
	took    time.Duration
}

func (s *snapshots) wanted() bool { return s.due || s.count > 0 }

// busy reports whether a snapshot is being stored.
func (s *snapshots) busy() bool {
	if s.running == nil {
		return false
	}
	select {
	case <-s.running:
		s.running = nil
		return false
	default:
		return true
	}
}

// perhaps begins to store a snapshot if there should be one.
func (s *snapshots) perhaps(ctx context.Context, f *fold) {
	late := s.count > 0 && !f.ev.now().Before(s.next) || s.count >= f.ev.times.events
	if f.behind || f.state == nil || !s.due && !late || s.busy() {
		return
	}
	store, ok := s.prepare(f)
	if !ok {
		return
	}
	running := make(chan struct{})
	s.running = running
	go func() { // end waits for it
		defer close(running)
		store(ctx)
	}()
}

// sleepy stores the snapshot of a state that no events are taken into.
func (s *snapshots) sleepy(ctx context.Context, f *fold) {
	if f.behind || f.state == nil || !s.due {
		return
	}
	if s.running != nil {
		<-s.running
	}
	if store, ok := s.prepare(f); ok {
		store(ctx)
	}
}

// end stores the last snapshot of a fold that stops, if all before it is done.
func (f *fold) end(ctx context.Context) {
	s := &f.snaps
	if s.running != nil {
		<-s.running
	}
	if f.behind || f.state == nil || !s.wanted() || f.ev.abrupt {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if store, ok := s.prepare(f); ok {
		store(ctx)
	}
}

// prepare makes a snapshot and returns what stores it.
func (s *snapshots) prepare(f *fold) (store func(ctx context.Context), ok bool) {
	began := f.ev.now()
	snap, err := f.snapshot()
	var name string
	var data []byte
	if err == nil {
		name, data, err = snap.encode()
	}
	if err != nil {
		f.log.Error("no snapshot of what ordered rules remember", slog.Any("err", err))
		s.due, s.count, s.next = false, 0, began.Add(f.ev.times.snapshot)
		return nil, false
	}
	s.mu.Lock()
	took := s.took
	s.mu.Unlock()
	s.due, s.count, s.next = false, 0, began.Add(max(f.ev.times.snapshot, patience*took))
	return func(ctx context.Context) {
		err := f.ev.bus.PutObject(ctx, bus.ObjectsStates, name, data)
		keep := keepNewest
		if errors.Is(err, bus.ErrFull) {
			keep = 1
		}
		if perr := f.ev.prune(ctx, keep); perr != nil && ctx.Err() == nil {
			err = errors.Join(err, perr)
		}
		if err != nil && ctx.Err() == nil {
			f.log.Warn("snapshot of what ordered rules remember not stored", slog.Int("bytes", len(data)), slog.Any("err", err))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.took = f.ev.now().Sub(began)
	}, true
}

// snapshot is the fold as it is.
func (f *fold) snapshot() (snapshot, error) {
	state, err := f.state.MarshalBinary()
	if err != nil {
		return snapshot{}, fmt.Errorf("encode what ordered rules remember: %w", err)
	}
	s := snapshot{
		Format: snapshotFormat, Seq: f.pos, At: f.at, RuleSet: f.content.Set.Digest(), Bundle: f.content.Bundle,
		Decided: f.snaps.decided, Full: f.episodes.full, Looped: f.episodes.looped, Breakers: f.episodes.breakers, state: state,
	}
	if !f.caughtUp() {
		s.Decided = f.past.decided // some of what is to come was decided before
	}
	return s, nil
}

// prune removes the snapshots that nobody needs: but for the newest, each day's first
// is kept for as long as events are, so that what rules remembered at an event can
// be found out.
func (ev *Evaluator) prune(ctx context.Context, newest int) error {
	all, err := ev.bus.Objects(ctx, bus.ObjectsStates)
	if err != nil {
		return err
	}
	stream, err := ev.bus.JS.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return fmt.Errorf("see for how long events are kept: %w", err)
	}
	const day = 24 * time.Hour
	old := ev.now().Add(-cmp.Or(stream.CachedInfo().Config.MaxAge, 7*day) - day)
	days := map[time.Time]bool{}
	var kept, gone []bus.Object
	for i, o := range all {
		on := o.Stored.UTC().Truncate(day)
		first := !days[on] && newest > 1
		days[on] = true
		if i >= len(all)-newest || first && o.Stored.After(old) {
			kept = append(kept, o)
		} else {
			gone = append(gone, o)
		}
	}
	for _, o := range gone {
		if err := ev.bus.RemoveObject(ctx, bus.ObjectsStates, o); err != nil {
			return err
		}
	}
	// Pieces of a snapshot that was never completed lie between others.
	if len(gone) > 0 && len(kept) > 0 && kept[0].Stored.Sub(gone[0].Stored) > time.Hour {
		return ev.bus.Purge(ctx, statesStream, statesData, gone[0].Seq+1)
	}
	return nil
}
