package ordered

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/rules"
)

// Record is what the stream DECISIONS keeps of a decision.
type Record struct {
	// ID tells the decision from all others: it follows from the event, the rule and
	// the window, so that a decision made again after a restart has the same.
	ID      string `json:"id"`
	Rule    string `json:"rule"`
	Outcome string `json:"outcome"`
	RuleSet string `json:"rule_set"`
	Bundle  string `json:"bundle"`
	// Seq and At are of the event, or the tick, that decided.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	// Event is what the job refers to: the event that decided or, where time did,
	// the last one in the window. It is nil if there is none.
	Event *queue.EventRef `json:"event,omitempty"`
	// Correlation is the chain that this event belongs to, of a firing.
	Correlation string `json:"correlation_id,omitempty"`

	Key    string  `json:"key,omitempty"`
	Window *Window `json:"window,omitempty"`

	// What the firing did: the job's id, the ids of the events published, the facts
	// set (null for one taken away; a long value is left out), and the ids of the
	// messages to people.
	Job       string                     `json:"job,omitempty"`
	Published []string                   `json:"published,omitempty"`
	Set       map[string]json.RawMessage `json:"set,omitempty"`
	Notified  []string                   `json:"notified,omitempty"`

	// Held is true for a firing that waits until its rule is resumed. Another record,
	// with the same id, follows then.
	Held bool `json:"held,omitempty"`
	// Dropped is true for one whose rule was resumed without what it had missed.
	Dropped bool `json:"dropped,omitempty"`
	// Error says what went wrong, for people.
	Error string `json:"error,omitempty"`
	// Reason is the part of a condition that decided, if one did.
	Reason *Reason `json:"reason,omitempty"`
}

// Window is the JSON form of a window, as [rules.WindowInfo] has it.
type Window struct {
	Began time.Time `json:"began"`
	Ends  time.Time `json:"ends"`
	Count int       `json:"count"`
	// Members are the events in it, at most 20, the newest.
	Members []Member `json:"members,omitempty"`
	Missing []string `json:"missing,omitempty"`
}

// Member is an event in a window.
type Member struct {
	Clause string    `json:"clause,omitempty"`
	Seq    uint64    `json:"seq"`
	At     time.Time `json:"at"`
	Source string    `json:"source"`
	ID     string    `json:"id"`
}

// NewWindow returns the JSON form of a window.
func NewWindow(w rules.WindowInfo) *Window {
	out := &Window{Began: w.Began.UTC(), Ends: w.Ends.UTC(), Count: w.Count, Missing: w.Missing}
	for _, m := range w.Members[max(0, len(w.Members)-maxMembers):] {
		out.Members = append(out.Members, Member{Clause: m.Clause, Seq: m.Seq, At: m.At.UTC(), Source: m.Source, ID: m.ID})
	}
	return out
}

// Reason is the part of a condition that decided.
type Reason struct {
	Clause  string `json:"clause,omitempty"`
	Text    string `json:"text"`
	Place   string `json:"place"`
	Missing string `json:"missing,omitempty"`
}

const (
	// maxMembers, maxFact and maxError bound what a record repeats of an event.
	maxMembers, maxFact, maxError = 20, 1 << 10, 2 << 10
)

// idOf is the id of a record.
func idOf(d rules.Decision, e events.Event) string {
	by := d.ID
	if by == "" {
		by = e.Source() + "\x00" + e.ID()
	}
	began := ""
	if d.Window != nil {
		began = strconv.FormatInt(d.Window.Began.UnixNano(), 10)
	}
	return hashed("decision", d.Rule.Name, outcomeClass(d.Outcome), strconv.FormatUint(d.Seq, 10), by, d.Key, began)
}

// JobID is the id of the job that a firing makes; e is the event that decided.
func JobID(d rules.Decision, e events.Event) string {
	if d.ID != "" {
		return queue.ID("/rules/"+d.Rule.Name, d.ID, d.Rule.Name, "")
	}
	return queue.ID(e.Source(), e.ID(), d.Rule.Name, "")
}

// outcomeClass is one for all outcomes of a firing: one that failed on its way has
// the id that it would have had.
func outcomeClass(o rules.Outcome) string {
	if o == rules.Failed {
		o = rules.Fired
	}
	return o.String()
}

// hashed is a short name for parts that no other parts have.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func newRecord(c Content, d rules.Decision, e events.Event) Record {
	r := Record{
		ID: idOf(d, e), Rule: d.Rule.Name, Outcome: d.Outcome.String(), RuleSet: c.Set.Digest(), Bundle: c.Bundle,
		Seq: d.Seq, At: d.At.UTC(), Key: d.Key, Error: errorText(d.Err),
	}
	if d.Window != nil {
		r.Window = NewWindow(*d.Window)
	}
	if why := d.Reason; why != nil {
		r.Reason = &Reason{Clause: why.Clause, Text: why.Text, Place: why.Pos.String(), Missing: why.Missing}
	}
	for _, f := range d.Set {
		value, err := json.Marshal(f.Value)
		if err != nil || len(value) > maxFact {
			value = []byte(`"(long)"`)
		}
		if r.Set == nil {
			r.Set = map[string]json.RawMessage{}
		}
		r.Set[f.Key] = value
	}
	return r
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	s := err.Error()
	if len(s) > maxError {
		s = s[:maxError] + "…"
	}
	return s
}

// message is the record as the stream keeps it.
func (r Record) message() (*nats.Msg, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode decision %s: %w", r.ID, err)
	}
	id := r.ID
	if r.Held {
		id += ".held"
	}
	return &nats.Msg{Subject: bus.DecisionSubject(r.Rule), Header: nats.Header{nats.MsgIdHdr: {id}}, Data: data}, nil
}

// Records yields the decisions of a rule, of all if it is "", that are kept, oldest
// first. An error is yielded once, last. It needs no more than a viewer's rights.
func Records(ctx context.Context, b *bus.Bus, rule string, o bus.TailOptions) iter.Seq2[Record, error] {
	filter := bus.AllDecisions
	if rule != "" {
		filter = bus.DecisionSubject(rule)
	}
	return func(yield func(Record, error) bool) {
		for m, err := range b.Tail(ctx, bus.StreamDecisions, filter, o) {
			var r Record
			if err == nil {
				r, err = decodeRecord(m)
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("read the decisions: %w", err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func decodeRecord(m bus.Msg) (r Record, err error) {
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return r, fmt.Errorf("decode %s at sequence %d: %w", m.Subject, m.Seq, err)
	}
	return r, nil
}
