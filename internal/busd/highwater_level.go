package busd

import (
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus/busserver"
)

// waterLevel is how far one stream went.
type waterLevel struct {
	Last uint64 `json:"last"`
	// Marks say when the stream was how far, rising: every message beyond Seq was
	// stored after Time.
	Marks []waterMark `json:"marks"`
	// Gaps are the sequences that are known to have no message.
	Gaps []busserver.Range `json:"gaps,omitempty"`
}

type waterMark struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
}

// Marks are made a minute apart. Older than an hour, one in four hours is kept, and
// of those so many that they reach over the days that events are kept.
const (
	fineMarks, coarseMarks = time.Minute, 4 * time.Hour
	marksFine              = time.Hour
	maxMarks               = 128
)

// rise takes note of the last sequence that a stream had at a time, and reports
// whether it is a higher one.
func (l *waterLevel) rise(last uint64, now time.Time) bool {
	n := len(l.Marks)
	if n == 0 || last > l.Marks[n-1].Seq && now.Sub(l.Marks[n-1].Time) >= fineMarks {
		l.Marks = append(l.Marks, waterMark{Seq: last, Time: now.UTC()})
		l.thin(now)
	}
	if last <= l.Last {
		return n == 0
	}
	l.Last = last
	return true
}

// thin drops marks that are close together and old.
func (l *waterLevel) thin(now time.Time) {
	kept := l.Marks[:0]
	for _, m := range l.Marks {
		if n := len(kept); n > 0 && now.Sub(m.Time) > marksFine && m.Time.Sub(kept[n-1].Time) < coarseMarks {
			continue
		}
		kept = append(kept, m)
	}
	l.Marks = slices.Delete(kept, 0, max(0, len(kept)-maxMarks))
}

// forget drops the gaps before the first message.
func (l *waterLevel) forget(first uint64) {
	l.Gaps = slices.DeleteFunc(l.Gaps, func(g busserver.Range) bool { return g.To < first && g.To != 0 })
}

// knows reports whether all of a gap is known.
func (l *waterLevel) knows(gap busserver.Range) bool {
	for gap.From <= gap.To {
		i := slices.IndexFunc(l.Gaps, func(g busserver.Range) bool { return g.From <= gap.From && g.To >= gap.From })
		if i < 0 {
			return false
		}
		gap.From = l.Gaps[i].To + 1
	}
	return true
}

// since is a time after which all from a sequence on was stored; zero if there is
// no mark.
func (l *waterLevel) since(seq uint64) time.Time {
	for _, m := range slices.Backward(l.Marks) {
		if m.Seq < seq {
			return m.Time
		}
	}
	return time.Time{}
}

// due is the highest sequence that may have grown too old, if messages are kept
// for maxAge; 0 if none can.
func (l *waterLevel) due(maxAge time.Duration, now time.Time) uint64 {
	// Clocks are set; a little too old is no loss.
	const slack = time.Minute
	if maxAge == 0 {
		return 0
	}
	for _, m := range l.Marks {
		if m.Time.After(now.Add(slack - maxAge)) {
			return m.Seq
		}
	}
	return l.Last
}
