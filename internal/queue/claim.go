package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// errNotNow means that the job cannot be had at the moment: a host is busy, or
// the record moved on meanwhile. The wake-up comes again.
var errNotNow = errors.New("not now")

// lockRecord is the record of a lock, on a host or on a concurrency key. It names
// the job that has it; it is stale, and free to take, once that job [Job.Holds] it
// no more.
type lockRecord struct {
	Job string `json:"job"`
}

// claim is one try to take a job with one wake-up in hand.
type claim struct {
	w      *Worker
	msg    *nats.Msg
	wake   wakeup
	timing Timing
	log    *slog.Logger
}

// giveBack returns the wake-up for a later delivery.
func (c *claim) giveBack(delivered uint64) {
	_ = c.msg.NakWithDelay(backoff(max(delivered, 1)))
}

// take claims the job of rec. No lease and no error mean that the wake-up is
// settled: it is void, or the job has just been ended by us.
func (c *claim) take(ctx context.Context, rec Record) (*Lease, error) {
	q := c.w.Queue
	if rec.State != Pending || rec.Rev != c.wake.Rev {
		return nil, nil // when its turn comes there is another
	}
	ready, err := c.prepare(ctx, rec.Job)
	if errors.Is(err, ErrTerminal) {
		next, ferr := finished(rec.Job, Failed, err.Error(), q.now())
		if ferr != nil {
			return nil, ferr
		}
		_, err := q.put(ctx, next, rec.Rev)
		return nil, c.settle(err)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	l, err := c.commit(ctx, rec, ready)
	if errors.Is(err, errNotNow) && !rec.SharesHosts && !slices.Equal(rec.Hosts, ready.Hosts) {
		// Now that its hosts are known, the job can stand in their lines.
		next := rec.Job
		next.Hosts = ready.Hosts
		_, err := q.put(ctx, next, rec.Rev)
		return nil, c.settle(err)
	}
	return l, err
}

// settle turns a lost compare-and-set into "not now".
func (c *claim) settle(err error) error {
	if errors.Is(err, bus.ErrConflict) {
		return fmt.Errorf("%w: the job moved on", errNotNow)
	}
	return err
}

// prepare runs the worker's Prepare, keeping the wake-up in hand meanwhile.
func (c *claim) prepare(ctx context.Context, j Job) (Prepared, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		tick := time.NewTicker(c.timing.Heartbeat())
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = c.msg.InProgress()
			}
		}
	})
	p, err := c.w.Prepare(ctx, j)
	if err != nil {
		return p, err
	}
	slices.Sort(p.Hosts)
	p.Hosts = slices.Compact(p.Hosts)
	if len(p.Hosts) > MaxHosts {
		return p, fmt.Errorf("%w: it would touch %d hosts, and one job can hold at most %d; split it by limit",
			ErrTerminal, len(p.Hosts), MaxHosts)
	}
	return p, nil
}

// commit takes the record and all locks in one step.
func (c *claim) commit(ctx context.Context, rec Record, ready Prepared) (*Lease, error) {
	q := c.w.Queue
	next, err := claimed(rec.Job, c.w.Name, c.wake.Nonce, ready.Hosts, q.now())
	if err != nil {
		return nil, err
	}
	msgs, guessed, err := c.locks(ctx, rec.Job, lockSubjects(next))
	if err != nil {
		return nil, err
	}
	sent := time.Now()
	token, held, err := c.store(ctx, rec, msgs, &next)
	if guessed && errors.Is(err, bus.ErrConflict) {
		// What we remembered is used up: now all are read.
		if msgs, _, err = c.locks(ctx, rec.Job, lockSubjects(next)); err != nil {
			return nil, err
		}
		sent = time.Now()
		token, held, err = c.store(ctx, rec, msgs, &next)
	}
	if errors.Is(err, bus.ErrUnknownOutcome) {
		token, err = c.readBack(ctx, next, err)
	}
	if err != nil {
		return nil, c.settle(err)
	}
	l := newLease(c, next, token, sent, ready.Run)
	l.locks = held
	return l, nil
}

// store takes the locks that are not was's yet, and the record, which next is to be:
// both or neither. A batch costs the server several times a plain write, so a new job
// with one lock does without: its lock first, then the record. Should we die in
// between, a pending job has a lock that it does not hold; see [claim.lock]. With
// several locks that could leave two jobs waiting for each other.
func (c *claim) store(ctx context.Context, was Record, locks []*nats.Msg, next *Job) (token uint64, held []heldLock, err error) {
	b := c.w.Queue.bus
	next.Lock = 0
	alone := len(locks) == 1 && was.Attempt == 0
	if alone {
		if next.Lock, _, err = b.Publish(ctx, locks[0]); err != nil {
			return 0, nil, err
		}
		held = heldLocks(locks, next.Lock)
	}
	state, err := stateMsg(*next, was.Rev)
	if err != nil {
		return 0, nil, err
	}
	if alone || len(locks) == 0 {
		token, _, err = b.Publish(ctx, state)
		return token, held, err
	}
	// The record is last, so that the sequence returned is the record's.
	token, err = b.PublishBatch(ctx, slices.Concat(locks, []*nats.Msg{state}))
	return token, heldLocks(locks, token-uint64(len(locks))), err
}

// readBack finds out whether a claim whose answer was lost took place.
func (c *claim) readBack(ctx context.Context, want Job, cause error) (uint64, error) {
	rec, err := c.w.Queue.Get(ctx, want.ID)
	if err != nil {
		return 0, fmt.Errorf("%w; reading it back: %w", cause, err)
	}
	if rec.State == Running && rec.Runner == want.Runner && rec.Wake == want.Wake && rec.Attempt == want.Attempt {
		return rec.Rev, nil
	}
	return 0, fmt.Errorf("%w: the claim did not take place", errNotNow)
}

// lockReads bounds how many locks are read at once.
const lockReads = 16

// lockSubjects names the locks that j needs to run.
func lockSubjects(j Job) []string {
	var all []string
	if j.Concurrency != nil {
		all = append(all, bus.KeyLockSubject(j.Concurrency.Key))
	}
	for _, host := range j.exclusive() {
		all = append(all, bus.HostLockSubject(host))
	}
	return all
}

// locks returns the messages that take the locks which was does not hold yet.
// guessed says that not all of them were read for it.
func (c *claim) locks(ctx context.Context, was Job, subjects []string) (all []*nats.Msg, guessed bool, err error) {
	msgs := make([][]*nats.Msg, len(subjects))
	errs := make([]error, len(subjects))
	sem := make(chan struct{}, lockReads)
	var wg sync.WaitGroup
	for i, subject := range subjects {
		rev, ok := c.w.locks.use(subject)
		if len(subjects) == 1 && c.wake.Lock > rev {
			rev, ok = c.wake.Lock, true
		}
		c.wake.Lock = 0
		if ok && !was.Holds() {
			m, err := lockMsg(subject, was.ID, rev)
			msgs[i], errs[i], guessed = []*nats.Msg{m}, err, true
			continue
		}
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			msgs[i], errs[i] = c.lock(ctx, subject, was)
		})
	}
	wg.Wait()
	return once(slices.Concat(msgs...)), guessed, errors.Join(errs...)
}

// once leaves out further messages for a subject: several locks may have had one
// owner.
func once(msgs []*nats.Msg) []*nats.Msg {
	seen := make(map[string]bool, len(msgs))
	return slices.DeleteFunc(msgs, func(m *nats.Msg) bool {
		was := seen[m.Subject]
		seen[m.Subject] = true
		return was
	})
}

// lock returns the messages that take a lock, none if the job holds it already.
//
// A lock may name a job that was never claimed: somebody took it for that job and
// died, or is about to write the record. To take it away, the record is written
// again as it is: then that claim fails, and the job has its turn later.
func (c *claim) lock(ctx context.Context, subject string, was Job) (msgs []*nats.Msg, err error) {
	var rev uint64
	last, err := c.w.Queue.bus.Last(ctx, bus.StreamRuns, subject)
	switch {
	case errors.Is(err, bus.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("read lock %s: %w", subject, err)
	default:
		rev = last.Seq
		var held lockRecord
		if err := json.Unmarshal(last.Data, &held); err != nil {
			return nil, fmt.Errorf("decode lock %s: %w", subject, err)
		}
		if held.Job == was.ID {
			if was.Holds() {
				return nil, nil
			}
			break // another may be about to take it
		}
		owner, err := c.w.Queue.Get(ctx, held.Job)
		switch {
		case errors.Is(err, ErrNoJob):
		case err != nil:
			return nil, err
		case owner.Holds():
			return nil, fmt.Errorf("%w: job %s holds %s", errNotNow, held.Job, subject)
		case owner.State == Pending && owner.Attempt == 0:
			again, err := stateMsg(owner.Job, owner.Rev)
			if err != nil {
				return nil, err
			}
			msgs = append(msgs, again)
		}
	}
	msg, err := lockMsg(subject, was.ID, rev)
	return append(msgs, msg), err
}

// lockMsg returns the message that takes a lock, if its last revision is rev.
func lockMsg(subject, job string, rev uint64) (*nats.Msg, error) {
	data, err := json.Marshal(lockRecord{Job: job})
	if err != nil {
		return nil, fmt.Errorf("encode lock %s: %w", subject, err)
	}
	// Only the last record of a lock matters. Those before it stay until they are
	// too old: to roll them up would cost a sync of its own.
	msg := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	bus.ExpectSubjectSeq(msg, subject, rev)
	return msg, nil
}
