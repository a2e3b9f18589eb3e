package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

const (
	// largeResults is how many results with texts that go into the store of outputs
	// a run may have in hand: they are held in memory.
	largeResults = 4
	// outputPatience is how long the texts of one result may take to be stored.
	outputPatience = time.Minute
	// leastText is what the texts of a result are not cut below.
	leastText = 64
	// cutHere stands for what was cut out of a text.
	cutHere = "\n[…]\n"
)

// ErrNoOutput means that a text that was too large for its event is not kept, or
// not any more.
var ErrNoOutput = errors.New("it is not kept")

// Output returns the whole of a text that was too large for its event. It needs no
// more than a viewer's rights.
func (q *Queue) Output(ctx context.Context, o events.Output) ([]byte, error) {
	if o.SHA256 == "" {
		return nil, fmt.Errorf("the whole %s: %w: %s", o.Name, ErrNoOutput, o.Lost)
	}
	data, err := q.bus.GetObject(ctx, bus.ObjectsOutputs, o.SHA256)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, fmt.Errorf("the whole %s: %w any more", o.Name, ErrNoOutput)
	}
	if err != nil {
		return nil, fmt.Errorf("read the whole %s: %w", o.Name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fmt.Errorf("the whole %s: %w: what is stored in its place is another text", o.Name, ErrNoOutput)
	}
	return data, nil
}

// result is a task's result on its way to the bus.
type result struct {
	events.TaskFinished
	// whole are the texts that are too large for the event, by name.
	whole map[string]string
	msg   *nats.Msg
}

// newResult makes the event of a result. What it refers to is yet to be stored.
func newResult(j Job, t events.TaskFinished, whole map[string]string) (result, error) {
	r := result{TaskFinished: t, whole: maps.Clone(whole)}
	r.Outputs = nil
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		r.refer(name)
	}
	return r, r.encode(j)
}

// refer adds the reference to a whole text.
func (r *result) refer(name string) {
	sum := sha256.Sum256([]byte(r.whole[name]))
	r.Outputs = append(r.Outputs, events.Output{
		Name: name, Bytes: int64(len(r.whole[name])), SHA256: hex.EncodeToString(sum[:]),
	})
}

// encode makes the message. A result that is too large for one is made smaller: as
// JSON, a byte of binary output takes six.
func (r *result) encode(j Job) error {
	for {
		e, err := events.New("/jobs/"+j.ID, events.TypeTaskFinished, r.TaskFinished)
		if err != nil {
			return fmt.Errorf("make event of task result %d of job %s: %w", r.Seq, j.ID, err)
		}
		e.SetID(fmt.Sprintf("%s.%d.%d", j.ID, r.Attempt, r.Seq))
		e.SetSubject(r.Host)
		j.Chain(&e)
		r.msg, err = bus.EncodeEvent(bus.ResultSubject(j.ID), e)
		switch {
		case err == nil:
			r.msg.Header.Set(jetstream.MsgIDHeader, e.ID())
			return nil
		case !errors.Is(err, bus.ErrTooLarge) || !r.shrink():
			return fmt.Errorf("encode task result %d of job %s: %w", r.Seq, j.ID, err)
		}
	}
}

// shrink cuts the longest text of the result in half, and sees to it that it is
// kept whole. It reports whether there was anything left to cut.
func (r *result) shrink() bool {
	cmd := events.Command{}
	if r.Command != nil {
		cmd = *r.Command
	}
	texts := map[string]*string{
		events.OutputMessage: &r.Message, events.OutputDiff: &r.Diff,
		events.OutputStdout: &cmd.Stdout, events.OutputStderr: &cmd.Stderr, "": &cmd.Cmd,
	}
	name := slices.MaxFunc(slices.Sorted(maps.Keys(texts)), func(a, b string) int { return len(*texts[a]) - len(*texts[b]) })
	text := *texts[name]
	if len(text) < leastText {
		return false
	}
	if _, ok := r.whole[name]; !ok && name != "" {
		if r.whole == nil {
			r.whole = make(map[string]string)
		}
		r.whole[name] = text
		r.refer(name)
	}
	quarter := len(text) / 4
	*texts[name] = strings.ToValidUTF8(text[:quarter], "") + cutHere + strings.ToValidUTF8(text[len(text)-quarter:], "")
	if r.Command != nil {
		cmd.Truncated = cmd.Truncated || name == events.OutputStdout || name == events.OutputStderr
		r.Command = &cmd
	}
	return true
}

// keepWhole stores the texts that a result refers to. Of those that cannot be
// stored the result says so: what they begin and end with is in it.
func (l *Lease) keepWhole(held context.Context, r *result) {
	defer func() { <-l.large }()
	ctx, cancel := context.WithTimeout(held, outputPatience)
	defer cancel()
	lost := false
	for i := range r.Outputs {
		o := &r.Outputs[i]
		err := l.c.w.Queue.bus.PutObject(ctx, bus.ObjectsOutputs, o.SHA256, []byte(r.whole[o.Name]))
		if held.Err() != nil {
			return
		}
		if err != nil {
			lost = true
			l.c.log.Warn("output not kept whole", slog.String("output", o.Name), slog.Int64("bytes", o.Bytes), slog.Any("err", err))
			o.SHA256, o.Lost = "", whyLost(err)
		}
	}
	if !lost {
		return
	}
	if err := r.encode(l.Job); err != nil {
		l.c.log.Error("result refers to output that is not kept", slog.Any("err", err))
	}
}

// whyLost says in a few words why a text could not be stored.
func whyLost(err error) string {
	switch {
	case errors.Is(err, bus.ErrFull):
		return "the store of outputs is full"
	case errors.Is(err, bus.ErrDenied):
		return "the runner's credentials do not permit it; make new ones"
	default:
		return "the bus did not take it"
	}
}
