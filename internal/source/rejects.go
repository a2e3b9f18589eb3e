package source

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// rejectsRow is how many in a row that are no events make a failure, rejectsAge how
	// long there may be nothing else until one more makes one.
	rejectsRow = 20
	rejectsAge = time.Minute
	// rejectsPause is the least time between two words on them.
	rejectsPause = 10 * time.Second
	// sampleRunes is how much of one is shown in the log, reasonRunes of what is wrong.
	sampleRunes, reasonRunes = 80, 300
)

// Rejects keeps account of what a source was given and could not make an event of.
// One such thing stops nothing: it is counted and logged. It is a failure of the
// source only if nothing else comes: 20 in a row, or one more a minute after the
// first of a row. The zero value is ready; it belongs to the feed's goroutine.
type Rejects struct {
	// Total is how many there were.
	Total int

	row     int
	since   time.Time // when the row began
	said    time.Time // when it was last logged
	unsaid  int
	told    time.Time // when it was last told as a failure
	failing bool
}

// Bad takes note of one: what it was, which is cut short, and what is wrong with it.
func (r *Rejects) Bad(f Feed, what []byte, err error) {
	now := f.Now()
	why := errors.New(Clip(err.Error(), reasonRunes)) // it may repeat what came
	if r.row == 0 {
		r.since = now
	}
	r.Total++
	r.row++
	r.unsaid++
	if r.said.IsZero() || now.Sub(r.said) >= rejectsPause {
		f.Log().Warn("not an event, left out", slog.Any("err", why), slog.String("begins", sample(what)), slog.Int("times", r.unsaid))
		r.said, r.unsaid = now, 0
	}
	if r.row < rejectsRow && now.Sub(r.since) < rejectsAge {
		return
	}
	if !r.failing || now.Sub(r.told) >= rejectsPause {
		r.failing, r.told = true, now
		f.Failed(fmt.Errorf("nothing that comes can become an event, %d in a row, the last: %w", r.row, why), time.Time{})
	}
}

// Good takes note that an event was stored. It ends the failure, if there is one.
func (r *Rejects) Good(f Feed) {
	r.row = 0
	if r.failing {
		r.failing = false
		f.OK(time.Time{})
	}
}

// Failing reports whether there is such a failure.
func (r *Rejects) Failing() bool { return r.failing }

// Row returns how many there were since the last event.
func (r *Rejects) Row() int { return r.row }

// sample returns the beginning of data, fit to be shown.
func sample(data []byte) string {
	const most = sampleRunes * utf8.UTFMax
	return Clip(string(data[:min(len(data), most)]), sampleRunes)
}

// Clip returns the first n characters of text, without what would steer a terminal.
func Clip(text string, n int) string {
	var b strings.Builder
	for _, r := range text {
		if n == 0 {
			break
		}
		n--
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}
