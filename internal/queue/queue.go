package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Errors callers decide on.
var (
	// ErrNoJob means that no job has the id asked for.
	ErrNoJob = errors.New("no such job")
	// ErrTooLarge means that a job's record would be larger than [MaxRecord].
	ErrTooLarge = errors.New("the job's record is too large")
	// ErrAmbiguous means that an abbreviated id stands for several jobs.
	ErrAmbiguous = errors.New("more than one job begins with that")
	// ErrUnreadable means that a job's record is not one that this version reads.
	ErrUnreadable = errors.New("the job's record cannot be read")
)

// Record is a job with the sequence of its revision on the RUNS stream, which
// is what the next transition is compared with.
type Record struct {
	Job
	Rev uint64
	// At is when the revision was stored, by the server's clock; zero if it was
	// stored just now.
	At time.Time
}

// Queue reads and writes jobs. It is safe for concurrent use.
type Queue struct {
	bus *bus.Bus
	log *slog.Logger
}

// New returns the queue on b. A nil log discards.
func New(b *bus.Bus, log *slog.Logger) *Queue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Queue{bus: b, log: log}
}

// now is the wall clock for the times in records. They are for people: no
// decision of the protocol reads them.
func (q *Queue) now() time.Time { return time.Now().UTC() }

// Open makes the queue for jobs with these needs, if it is not there: the
// consumer that hands them out and the entry by which runners find it. The lease
// decides how soon a runner's death is noticed.
func (q *Queue) Open(ctx context.Context, needs map[string]string, lease Timing) error {
	name := NameFor(needs)
	_, err := q.bus.JS.CreateOrUpdateConsumer(ctx, bus.StreamJobs, jetstream.ConsumerConfig{
		Durable:       name,
		Description:   fmt.Sprintf("hands out jobs that need %v", needs),
		FilterSubject: bus.JobSubject(name, priority),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       lease.Lease,
		MaxDeliver:    -1, // attempts are counted in the record
		MaxAckPending: 10_000,
	})
	if err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	kv, err := q.bus.JS.KeyValue(ctx, bus.BucketQueues)
	if err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	if needs == nil {
		needs = map[string]string{}
	}
	entry, err := json.Marshal(needs)
	if err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	if old, err := kv.Get(ctx, name); err == nil && bytes.Equal(old.Value(), entry) {
		return nil
	}
	if _, err := kv.Put(ctx, name, entry); err != nil {
		return fmt.Errorf("open queue %s: %w", name, err)
	}
	return nil
}

// Check finds out whether a job can be stored: an error that wraps [ErrTooLarge]
// says that it cannot, whatever happens.
func Check(j Job) error {
	data, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	return fits(data)
}

// fits finds out whether the record of a new job is small enough.
func fits(data []byte) error {
	if len(data) > MaxRecord {
		return fmt.Errorf("%w: %d KiB, most of it variables, and %d KiB is the most; give it less of the event",
			ErrTooLarge, len(data)>>10, MaxRecord>>10)
	}
	return nil
}

// put stores j if the record's last revision is rev; zero means that there must
// be none.
func (q *Queue) put(ctx context.Context, j Job, rev uint64) (uint64, error) {
	msg, err := stateMsg(j, rev)
	if err != nil {
		return 0, err
	}
	seq, _, err := q.bus.Publish(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("store job %s as %s: %w", j.ID, j.State, err)
	}
	return seq, nil
}

func stateMsg(j Job, rev uint64) (*nats.Msg, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	subject := bus.StateSubject(j.ID)
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	bus.ExpectSubjectSeq(msg, subject, rev)
	return msg, nil
}

// Get reads a job by its whole id.
func (q *Queue) Get(ctx context.Context, id string) (Record, error) {
	m, err := q.bus.Last(ctx, bus.StreamRuns, bus.StateSubject(id))
	if errors.Is(err, bus.ErrNotFound) {
		return Record{}, fmt.Errorf("job %s: %w", id, ErrNoJob)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read job %s: %w", id, err)
	}
	return record(m)
}

// Decode reads a message on the states of jobs, see [bus.AllStates]. What cannot be
// read is an error that wraps [ErrUnreadable].
func Decode(m bus.Msg) (Record, error) { return record(m) }

func record(m bus.Msg) (Record, error) {
	r := Record{Rev: m.Seq}
	err := decode(m.Data, &r.Job)
	if err == nil && bus.StateSubject(r.ID) != m.Subject {
		err = errors.New("it is not for this job")
	}
	if err != nil {
		return r, fmt.Errorf("%s at sequence %d: %w: %w", m.Subject, m.Seq, ErrUnreadable, err)
	}
	if r.First == 0 {
		r.First = m.Seq
	}
	r.At = m.Time
	return r, nil
}

// ListOptions selects jobs.
type ListOptions struct {
	// Since leaves out jobs that did not change after it; zero means all.
	Since time.Time
	// Prefix keeps the jobs whose id begins with it.
	Prefix string
}

// List returns the last revision of every job kept on the bus, oldest change
// first. It reads the stream directly and needs no more than a viewer's rights. A
// record that cannot be read hides none of the others: they are returned with an
// error that wraps [ErrUnreadable].
func (q *Queue) List(ctx context.Context, o ListOptions) ([]Record, error) {
	last, unread := make(map[string]Record), make(map[string]error)
	for m, err := range q.bus.Tail(ctx, bus.StreamRuns, bus.AllStates, bus.TailOptions{Since: o.Since}) {
		if err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		id := bus.JobOf(m.Subject)
		if !strings.HasPrefix(id, o.Prefix) {
			continue
		}
		delete(last, id)
		delete(unread, id)
		if r, err := record(m); err == nil {
			last[id] = r
		} else {
			unread[id] = err
		}
	}
	out := make([]Record, 0, len(last))
	for _, r := range last {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Record) int {
		if a.Rev < b.Rev {
			return -1
		}
		return 1
	})
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(unread)) {
		errs = append(errs, unread[id])
	}
	return out, errors.Join(errs...)
}

// Find reads a job by its id or by an unambiguous beginning of it.
func (q *Queue) Find(ctx context.Context, prefix string) (Record, error) {
	if len(prefix) == 2*16 {
		return q.Get(ctx, prefix)
	}
	if prefix == "" {
		return Record{}, fmt.Errorf("an empty id: %w", ErrNoJob)
	}
	found, err := q.List(ctx, ListOptions{Prefix: prefix})
	switch {
	case err != nil:
		return Record{}, err
	case len(found) == 0:
		return Record{}, fmt.Errorf("job %s: %w", prefix, ErrNoJob)
	case len(found) > 1:
		return Record{}, fmt.Errorf("job %s: %w", prefix, ErrAmbiguous)
	}
	return found[0], nil
}

// change makes a transition of a job, however often others are faster.
func (q *Queue) change(ctx context.Context, id string, next func(Job) (Job, error)) (Record, error) {
	for {
		r, err := q.Get(ctx, id)
		if err != nil {
			return r, err
		}
		j, err := next(r.Job)
		if err != nil {
			return r, err
		}
		rev, err := q.put(ctx, j, r.Rev)
		if errors.Is(err, bus.ErrConflict) {
			continue // it moved on meanwhile; look again
		}
		return Record{Job: j, Rev: rev}, err
	}
}

// ErrEnded means that a job has ended already.
var ErrEnded = errors.New("has ended already")

// ErrNotUnapproved means that a job does not wait for an approval.
var ErrNotUnapproved = errors.New("does not wait for an approval")

// Approve lets an unapproved job run; by names who says so.
func (q *Queue) Approve(ctx context.Context, id, by string) (Record, error) {
	return q.change(ctx, id, func(j Job) (Job, error) {
		if j.State != Unapproved {
			return j, fmt.Errorf("job %s %w: it is %s", id, ErrNotUnapproved, j.State)
		}
		return approved(j, by)
	})
}

// Reject ends an unapproved job.
func (q *Queue) Reject(ctx context.Context, id, reason string) (Record, error) {
	return q.change(ctx, id, func(j Job) (Job, error) {
		if j.State != Unapproved {
			return j, fmt.Errorf("job %s %w: it is %s", id, ErrNotUnapproved, j.State)
		}
		return finished(j, Cancelled, reason, q.now())
	})
}

// Again submits an ended job once more, as a job of its own. To repeat that gives
// the same job, and fresh is false.
func (q *Queue) Again(ctx context.Context, id string) (r Record, fresh bool, err error) {
	old, err := q.Get(ctx, id)
	if err != nil {
		return old, false, err
	}
	if !old.State.Terminal() {
		return old, false, fmt.Errorf("job %s is %s; it can be run again once it has ended", id, old.State)
	}
	return q.Submit(ctx, again(old.Job))
}

// Cancel asks for the end of a job. A pending one is cancelled at once; a running
// one is cancelling until its runner has stopped it. Cancelling a job that has
// ended is an error.
func (q *Queue) Cancel(ctx context.Context, id, reason string) (Record, error) {
	r, err := q.change(ctx, id, func(j Job) (Job, error) {
		if j.State.Terminal() {
			return j, fmt.Errorf("job %s %w: %s", id, ErrEnded, j.State)
		}
		return cancelRequested(j, reason, q.now())
	})
	if err == nil {
		q.hurry(r.Job)
	}
	return r, err
}

// hurry tells the runner of a job that is being cancelled to look at its record
// now. It would at its next heartbeat, should it not hear of it.
func (q *Queue) hurry(j Job) {
	if j.State == Cancelling {
		_ = q.bus.Conn.Publish(bus.CancelSubject(j.ID), nil)
	}
}

// decode reads JSON keeping integers integers: a variable that was 5 in the
// event must not arrive in the playbook as 5.0.
func decode(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if j, ok := v.(*Job); ok {
		for k, val := range j.Vars {
			j.Vars[k] = numbers(val)
		}
	}
	return nil
}

func numbers(v any) any {
	switch t := v.(type) {
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(t.String(), 10, 64); err == nil {
			return u
		}
		f, err := t.Float64()
		if err != nil {
			return t.String()
		}
		return f
	case []any:
		for i := range t {
			t[i] = numbers(t[i])
		}
	case map[string]any:
		for k := range t {
			t[k] = numbers(t[k])
		}
	}
	return v
}
