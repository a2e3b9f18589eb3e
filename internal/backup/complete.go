package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// complete fails if the copy that was just made lacks messages which the stream had
// when it began: a server leaves out what it cannot read of a damaged store, and
// says nothing. It returns the gaps of a stream that nothing is deleted from.
func (s Stream) complete(ctx context.Context, b *bus.Bus, dir string) ([]Range, error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(s.Name)))
	if err != nil {
		return nil, fmt.Errorf("read what was copied of stream %s: %w", s.Stream, err)
	}
	c, err := s.contents(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read what was copied of stream %s: %w", s.Stream, err)
	}
	stream, err := b.JS.Stream(ctx, s.Stream)
	if err != nil {
		return nil, fmt.Errorf("look at what was copied of stream %s: %w", s.Stream, err)
	}
	var conf struct {
		DenyDelete bool  `json:"deny_delete"`
		DenyPurge  bool  `json:"deny_purge"`
		PerSubject int64 `json:"max_msgs_per_subject"`
	}
	if err := json.Unmarshal(s.Config, &conf); err != nil {
		return nil, fmt.Errorf("decode the configuration of stream %s: %w", s.Stream, err)
	}
	keepsAll := conf.DenyDelete && conf.DenyPurge && conf.PerSubject <= 0
	if n := s.lacks(c, stream.CachedInfo().State, keepsAll); n > 0 {
		return nil, fmt.Errorf("stream %s: the server could not give %d of its %d messages, its store is damaged; "+
			"stop the bus: its next start says which, and how to go on", s.Stream, n, s.Messages)
	}
	if !c.counted || !keepsAll {
		return nil, nil
	}
	if c.messages > 0 && c.last < s.LastSeq {
		c.gaps = append(c.gaps, Range{From: c.last + 1, To: s.LastSeq})
	}
	return c.gaps, nil
}

// lacks is how many messages a copy should have and has not, judged by what the
// stream was after it: what was deleted meanwhile may be missing.
func (s Stream) lacks(c contents, after jetstream.StreamState, keepsAll bool) uint64 {
	if !c.counted || c.messages >= s.Messages {
		return 0
	}
	if keepsAll { // the oldest go when their time is over, and no others
		holes := c.holes(max(after.FirstSeq, s.FirstSeq), s.LastSeq)
		return holes - min(holes, s.LastSeq-s.FirstSeq+1-s.Messages)
	}
	missing := s.Messages - c.messages
	// Of all sequences that were given out: those that have no message now, less
	// those that had none then.
	gone := (after.LastSeq - after.Msgs) - (s.LastSeq - s.Messages)
	return missing - min(missing, gone)
}

// holes is how many sequences of a range have no message in the copy.
func (c contents) holes(from, to uint64) (n uint64) {
	all := c.gaps
	if c.messages == 0 {
		all = []Range{{From: from, To: to}}
	} else {
		all = append([]Range{{From: 1, To: c.first - 1}}, all...)
		all = append(all, Range{From: c.last + 1, To: to})
	}
	for _, g := range all {
		if first, last := max(g.From, from), min(g.To, to); first <= last {
			n += last - first + 1
		}
	}
	return n
}
