package ordered

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// firing is a decision with all that it asks for worked out: it can be carried out
// now, or be stored and carried out later.
type firing struct {
	Record  Record         `json:"record"`
	Job     *queue.Job     `json:"job,omitempty"`
	Publish []publication  `json:"publish,omitempty"`
	Notify  []Notification `json:"notify,omitempty"`
	// From is, of one that is held, where its rule's pause began.
	From uint64 `json:"from,omitempty"`

	errs []error
	// done is true for one that was carried out, and only has to go.
	done bool
}

// publication is an event to be published.
type publication struct {
	Class string       `json:"class"`
	Event events.Event `json:"event"`
}

// cause is what a firing came of.
type cause struct {
	ref         *queue.EventRef
	event       events.Event
	correlation string
	depth       int
}

// firing returns what a decision asks for; nil if that is nothing, or was done.
func (f *fold) firing(ctx context.Context, s step, d rules.Decision) (*firing, error) {
	switch d.Outcome {
	case rules.Fired, rules.Shadowed, rules.Expired, rules.Failed:
	case rules.WindowMissed:
	case rules.Full:
		if !f.episodes.begins(f.episodes.full, d.Rule.Name, d.At, fullEpisode) {
			return nil, nil
		}
	case rules.Looped:
		if !f.episodes.begins(f.episodes.looped, d.Rule.Name, d.At, loopEpisode) {
			return nil, nil
		}
	default: // follows from the event again whenever somebody asks
		return nil, nil
	}
	x := &firing{Record: newRecord(s.content, d, s.event)}
	if d.ID == "" {
		x.Record.Event = ref(s.event, d.Seq)
	}
	held, known := f.past.decisions[x.Record.ID]
	hold, err := f.breakAndHold(ctx, d, x, known, held)
	if err != nil {
		return nil, err
	}
	if known {
		return nil, nil
	}
	f.tell(d, x)
	if d.Outcome != rules.Fired {
		return x, nil
	}
	c, err := f.cause(ctx, s, d)
	if err != nil {
		return nil, err
	}
	x.Record.Event, x.Record.Correlation = c.ref, c.correlation
	x.work(s.content, d, c)
	if hold {
		f.hold(x)
	}
	return x, nil
}

// tell says what operators should know, and publishes what rules may wait for.
func (f *fold) tell(d rules.Decision, x *firing) {
	log := f.log.With(slog.String("rule", d.Rule.Name), slog.Uint64("seq", d.Seq))
	switch d.Outcome {
	case rules.Failed:
		log.Warn("rule failed", slog.Any("err", d.Err))
	case rules.Looped:
		log.Warn("event is not judged: it was caused by too many rules in a row", slog.Int("at_most", rules.MaxDepth))
	case rules.Full:
		log.Warn("rule has as many windows open as it may, and takes in no more", slog.Int("max_windows", d.Rule.MaxWindows))
		x.own(d, events.TypeRuleFull, events.RuleFull{Rule: d.Rule.Name, Key: d.Key, MaxWindows: d.Rule.MaxWindows})
	case rules.WindowMissed:
		log.Warn("a window of a rule ended while nothing ran", slog.String("key", d.Key))
		data := events.RuleWindowMissed{Rule: d.Rule.Name, Key: d.Key}
		if w := d.Window; w != nil {
			data.Began, data.Ends, data.Count = w.Began.UTC(), w.Ends.UTC(), w.Count
		}
		x.own(d, events.TypeRuleWindowMissed, data)
	default:
	}
}

// own adds an event of our own.
func (x *firing) own(d rules.Decision, typ string, data any) {
	e, err := events.New("/rules/"+d.Rule.Name, typ, data)
	if err != nil {
		x.failed(err)
		return
	}
	e.SetID(hashed("own", x.Record.ID))
	e.SetTime(d.At.UTC())
	e.SetSubject(d.Rule.Name)
	x.Publish = append(x.Publish, publication{bus.ClassOwn, e})
	x.Record.Published = append(x.Record.Published, e.ID())
}

// work works out what a firing does.
func (x *firing) work(c Content, d rules.Decision, from cause) {
	rule := d.Rule.Name
	if d.Action != nil {
		j := dispatch.Job(c, d.Verdict, from.event, from.ref.Seq)
		j.ID = JobID(d, from.event)
		j.CorrelationID = from.correlation
		x.Job, x.Record.Job = &j, j.ID
	}
	// What a firing publishes has the same ids whenever the same event, or the same
	// window, makes the rule fire.
	who := []string{rule, d.ID}
	if d.ID == "" {
		who = []string{rule, from.event.Source(), from.event.ID()}
	}
	name := func(kind string, i int) string { return hashed(append([]string{kind, strconv.Itoa(i)}, who...)...) }
	for i, p := range d.Publish {
		e, err := from.published(rule, p, name("event", i), d.At)
		if err != nil {
			x.failed(err)
			continue
		}
		x.Publish = append(x.Publish, publication{bus.ClassRule, e})
		x.Record.Published = append(x.Record.Published, e.ID())
	}
	for i, n := range d.Notify {
		id := name("message", i)
		x.Notify = append(x.Notify, Notification{
			ID: id, Rule: rule, To: n.To, Subject: n.Subject, Text: n.Text, Event: from.ref, EventSubject: from.event.Subject(),
			Correlation: from.correlation, Depth: from.depth, At: d.At.UTC(),
		})
		x.Record.Notified = append(x.Record.Notified, id)
	}
}

// published is the event that a rule publishes.
func (c cause) published(rule string, p rules.Publication, id string, at time.Time) (events.Event, error) {
	e, err := events.New("/rules/"+rule, p.Type, p.Data)
	if err != nil {
		return e, err
	}
	e.SetID(id)
	e.SetTime(at.UTC())
	if p.Subject != "" {
		e.SetSubject(p.Subject)
	}
	e.SetExtension(events.ExtCorrelation, c.correlation)
	e.SetExtension(events.ExtCausation, c.event.ID())
	e.SetExtension(events.ExtDepth, c.depth+1)
	if err := events.Check(e); err != nil {
		return e, fmt.Errorf("publish %s: %w", p.Type, err)
	}
	return e, nil
}

// cause finds what a firing came of: the event that decided or, where time did, the
// newest in the window; if there is none, what showed that the time had come.
func (f *fold) cause(ctx context.Context, s step, d rules.Decision) (cause, error) {
	e, seq := s.event, d.Seq
	if d.ID != "" && d.Window != nil && len(d.Window.Members) > 0 {
		last := d.Window.Members[len(d.Window.Members)-1]
		if last.Seq != d.Seq {
			var err error
			if e, err = f.member(ctx, last); err != nil {
				return cause{}, err
			}
			seq = last.Seq
		}
	}
	c := cause{event: e, ref: ref(e, seq), correlation: events.Extension(e, events.ExtCorrelation)}
	if c.correlation == "" {
		c.correlation = e.ID()
	}
	c.depth = min(events.Depth(e), rules.MaxDepth)
	return c, nil
}

// member reads an event of a window. Of one that is not stored any more there is
// its name.
func (f *fold) member(ctx context.Context, m rules.Member) (e events.Event, err error) {
	for {
		var msg bus.Msg
		msg, err = f.ev.bus.Get(ctx, bus.StreamEvents, m.Seq)
		if err == nil {
			if e, err = bus.DecodeEvent(msg.Header, msg.Data); err == nil {
				return e, nil
			}
		}
		if ctx.Err() != nil {
			return e, fmt.Errorf("read an event of a window: %w", context.Cause(ctx))
		}
		if !errors.Is(err, bus.ErrUnavailable) {
			break
		}
		pause.For(ctx, f.ev.times.retry)
	}
	f.log.Debug("an event of a window is not stored any more", slog.Uint64("seq", m.Seq), slog.Any("err", err))
	e = event.New(event.CloudEventsVersionV1)
	e.SetSource(m.Source)
	e.SetID(m.ID)
	e.SetTime(m.At.UTC())
	return e, nil
}

func ref(e events.Event, seq uint64) *queue.EventRef {
	return &queue.EventRef{Source: e.Source(), ID: e.ID(), Type: e.Type(), Seq: seq, Depth: events.Depth(e)}
}

// failed notes that a part of a firing will never be done.
func (x *firing) failed(err error) {
	x.errs = append(x.errs, err)
	x.Record.Outcome = rules.Failed.String()
	x.Record.Error = errorText(errors.Join(x.errs...))
}
