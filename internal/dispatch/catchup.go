package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

const (
	// turn is how many events are judged for one resuming rule before the next
	// has its turn.
	turn = 500
	// look is how often a rule that has caught up looks for more events, saveEvery
	// how often it notes how far it is while it only follows.
	look      = 250 * time.Millisecond
	saveEvery = 2 * time.Second
)

// CatchUp judges for rules that are being resumed what they missed, until ctx
// ends. One at a time is enough; several do no harm, but the work twice. A job's
// id follows from rule and event, so what was judged before makes no second job.
//
// A rule judges new events again once all before are caught up with, so that its
// jobs keep the order of their events. The resume goes on for a while after that,
// and takes in what dispatchers left that did not know yet. A rule with a breaker
// catches up no faster than that allows.
func (d *Dispatcher) CatchUp(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	f := &resuming{changed: make(chan struct{}, 1)}
	var followed error
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer stop()
		followed = f.follow(ctx, d.bus)
	})
	resumes := map[string]*resume{}
	for ctx.Err() == nil {
		if d.turns(ctx, f, resumes) {
			continue
		}
		var again <-chan time.Time
		if len(resumes) > 0 {
			again = time.After(look)
		}
		select {
		case <-f.changed:
		case <-again:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	return followed
}

// turns gives each resuming rule one turn, and reports whether any has more to do
// at once.
func (d *Dispatcher) turns(ctx context.Context, f *resuming, resumes map[string]*resume) (more bool) {
	present := map[string]bool{}
	d.mu.Lock()
	set := d.content.Set
	d.mu.Unlock()
	for _, p := range f.list() {
		if r := set.Rule(p.Name); r != nil && r.Ordered() {
			continue // package ordered holds its firings, and sees to its resume
		}
		present[p.Name] = true
		r := resumes[p.Name]
		if r == nil || r.Rev < p.Rev { // new, or changed by somebody else
			r = d.newResume(ctx, p, r)
			resumes[p.Name] = r
		}
		if r.over || d.now().Before(r.after) {
			continue
		}
		again, err := d.turn(ctx, r)
		switch {
		case ctx.Err() != nil:
			return false
		case errors.Is(err, bus.ErrConflict): // changed by somebody else, as will be seen
			r.over = true
		case err != nil:
			r.after = d.now().Add(retryAfter)
			d.log.Warn("resume of a rule has to wait", slog.String("rule", p.Name), slog.Any("err", err))
		case again:
			more = true
		}
	}
	for name := range resumes {
		if !present[name] {
			delete(resumes, name)
		}
	}
	return more
}

// resume is a rule that is being resumed.
type resume struct {
	control.Pause
	next    uint64 // sequence of the first event not judged yet
	live    time.Time
	saved   time.Time
	breaker *Breaker
	after   time.Time // when to try again what went wrong
	over    bool
}

// newResume begins or goes on with the resume of a rule; was is what was known of
// it before, or nil.
func (d *Dispatcher) newResume(ctx context.Context, p control.Pause, was *resume) *resume {
	log := d.log.With(slog.String("rule", p.Name))
	now := d.now()
	r := &resume{Pause: p, next: p.From, live: now, saved: now}
	if was != nil && was.Since.Equal(p.Since) { // another one caught up beside us
		r.breaker = was.breaker
		if was.Live && p.Live {
			r.live = was.live
		}
		return r
	}
	if s, err := d.bus.JS.Stream(ctx, bus.StreamEvents); err == nil && s.CachedInfo().State.FirstSeq > p.From {
		log.Warn("events that the rule missed are no longer stored", slog.Uint64("from", p.From),
			slog.Uint64("stored_from", s.CachedInfo().State.FirstSeq))
	}
	log.Info("rule catches up", slog.Uint64("from", p.From))
	return r
}

// turn judges the next events for a rule and notes how far it is. It reports
// whether there is more to do at once.
func (d *Dispatcher) turn(ctx context.Context, r *resume) (more bool, err error) {
	d.mu.Lock()
	content := d.content
	d.mu.Unlock()
	// What holds back new events, too many jobs that are open, holds these back too.
	cons, err := d.bus.JS.Consumer(ctx, bus.StreamEvents, bus.ConsumerDispatch)
	if err != nil {
		return false, fmt.Errorf("see whether events are held back: %w", err)
	}
	if cons.CachedInfo().Paused {
		return false, nil
	}
	began := d.now()
	next, end, err := d.missed(ctx, r, content)
	if errors.Is(err, bus.ErrRewound) {
		d.log.Error("the events end before where the rule was paused; it judges all of them", slog.String("rule", r.Name))
		next, end, err = 1, false, nil
	}
	if err != nil {
		return false, err
	}
	moved := next != r.next
	r.next = next
	switch {
	case r.Live && end && began.Sub(r.live) >= d.closing:
		if err := control.Finish(ctx, d.bus, r.Pause); err != nil {
			return false, err
		}
		r.over = true
		d.log.Info("rule resumed", slog.String("rule", r.Name))
		return false, nil
	case end && !r.Live:
		if err := d.save(ctx, r, true); err != nil {
			return false, err
		}
		r.live = d.now()
		return false, nil
	case r.next != r.From && (!end || d.now().Sub(r.saved) >= saveEvery):
		err := d.save(ctx, r, r.Live)
		return moved && !end, err
	}
	return moved && !end, nil
}

func (d *Dispatcher) save(ctx context.Context, r *resume, live bool) error {
	p, err := control.Advance(ctx, d.bus, r.Pause, r.next, live)
	if err == nil {
		r.Pause, r.saved = p, d.now()
	}
	return err
}

// missed makes the jobs of the rule that is resumed, of up to so many events as
// are one turn. It returns the sequence after them, once all jobs are stored, and
// whether that is where the events end.
func (d *Dispatcher) missed(ctx context.Context, r *resume, c Content) (next uint64, end bool, err error) {
	log := d.log.With(slog.String("rule", r.Name))
	next, end = r.next, true
	r.limit(c.Set)
	var waits []wait
	judged := 0
	for m, err := range d.bus.Tail(ctx, bus.StreamEvents, bus.AllEvents, bus.TailOptions{From: max(r.next, 1)}) {
		if err != nil {
			// What was sent must have been waited for all the same.
			return r.next, false, errors.Join(append(d.stored(log, waits), err)...)
		}
		if judged == turn {
			end = false
			break
		}
		if j, ok := again(log, r.Name, c, m); ok {
			// Only an event that makes a job has to wait for the breaker.
			if r.breaker != nil && r.breaker.Full(d.now()) {
				end = false
				break
			}
			w := wait{job: j.ID, rule: r.Name, stored: d.queue.Send(ctx, j)}
			if r.breaker == nil {
				waits = append(waits, w)
			} else if err := d.counted(log, r.breaker, w); err != nil {
				return r.next, false, err
			}
		}
		next = m.Seq + 1
		judged++
	}
	if errs := d.stored(log, waits); len(errs) > 0 {
		return r.next, false, errors.Join(errs...)
	}
	return next, end, nil
}

// limit takes the rule's breaker as it is in the set in force.
func (r *resume) limit(set *rules.Set) {
	rule := set.Rule(r.Name)
	switch {
	case rule == nil || rule.Breaker == nil:
		r.breaker = nil
	case r.breaker == nil || r.breaker.Breaker != *rule.Breaker:
		r.breaker = &Breaker{Breaker: *rule.Breaker}
	}
}

// again judges an event for one rule, and returns the job that makes.
func again(log *slog.Logger, rule string, c Content, m bus.Msg) (j queue.Job, ok bool) {
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil || Forged(m.Subject, e) || clockTick(e) {
		return j, false // as the dispatcher has said
	}
	v, ok := c.Set.Judge(e, m.Time, rule)
	switch {
	case ok && v.Outcome == rules.Fired:
		return Job(c, v, e, m.Seq), true
	case ok && v.Outcome == rules.Failed:
		log.Warn("rule failed", slog.Uint64("seq", m.Seq), slog.Any("err", v.Err))
	}
	return j, false
}

// counted waits for a job and counts it, if it is new.
func (d *Dispatcher) counted(log *slog.Logger, b *Breaker, w wait) error {
	fresh := false
	stored := w.stored
	w.stored = func() (r queue.Record, made bool, err error) {
		r, fresh, err = stored()
		return r, fresh, err
	}
	if errs := d.stored(log, []wait{w}); len(errs) > 0 {
		return errors.Join(errs...)
	}
	if fresh {
		b.Count(d.now())
	}
	return nil
}
