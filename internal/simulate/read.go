package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/jet-bus/jet-bus/events"
)

// maxLine bounds one event of a file, in bytes.
const maxLine = 16 << 20

// Read yields the events of r, one CloudEvent in JSON a line, alone or with its
// sequence and when it was received, as jet events --json prints them. One that is
// alone was stored at its own time, in the order of the lines. An error names the
// line, and is the last.
func Read(r io.Reader) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		n := uint64(0)
		var last uint64
		for lines.Scan() {
			n++
			text := bytes.TrimSpace(lines.Bytes())
			if len(text) == 0 {
				continue
			}
			// The event keeps parts of what it was read from.
			s, err := parse(bytes.Clone(text))
			if err != nil {
				yield(Stored{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if s.Seq == 0 {
				s.Seq = last + 1
			}
			last = s.Seq
			if !yield(s, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Stored{}, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

func parse(line []byte) (Stored, error) {
	var printed struct {
		Seq      uint64          `json:"seq"`
		Received time.Time       `json:"received"`
		Event    json.RawMessage `json:"event"`
	}
	// An event alone has none of these members, or as an extension at the most.
	if err := json.Unmarshal(line, &printed); err == nil && len(printed.Event) > 0 && printed.Event[0] == '{' {
		e, err := events.Parse(printed.Event)
		return Stored{Event: e, Seq: printed.Seq, At: printed.Received}, err
	}
	e, err := events.Parse(line)
	if err != nil {
		return Stored{}, err
	}
	if e.Time().IsZero() {
		return Stored{}, errors.New("the event has no time, so it is not known when it was stored")
	}
	return Stored{Event: e, At: e.Time().UTC()}, nil
}
