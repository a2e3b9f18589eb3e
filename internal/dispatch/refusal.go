package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
)

// Refusal is the record that a jet-bus has seen newer content and did not put it in force. It is there until the
// jet-bus puts content in force.
type Refusal struct {
	events.RulesRefused
	// At is when it was refused.
	At time.Time `json:"at"`
}

// refusalKeys begins the keys of refusals in [bus.BucketConfig], one for each jet-bus.
const refusalKeys = "$KV." + bus.BucketConfig + "." + bus.KeyRefused + "."

// Refuse records that content was refused, and publishes it as an event. It does neither if the record says so already:
// the same content is told once.
func Refuse(ctx context.Context, b *bus.Bus, r events.RulesRefused) (told bool, err error) {
	all, err := Refusals(ctx, b)
	if err != nil {
		return false, err
	}
	for _, old := range all {
		if old.By == r.By && old.Content == r.Content {
			return false, nil
		}
	}
	e, err := events.New("/content", events.TypeRulesRefused, r)
	if err != nil {
		return false, fmt.Errorf("make the event that content is refused: %w", err)
	}
	if _, err := b.PublishEvent(ctx, bus.ClassOwn, e); err != nil {
		return false, fmt.Errorf("tell that content is refused: %w", err)
	}
	data, err := json.Marshal(Refusal{RulesRefused: r, At: time.Now().UTC()})
	if err != nil {
		return true, fmt.Errorf("record that content is refused: %w", err)
	}
	if _, _, err := b.Publish(ctx, &nats.Msg{Subject: refusalKeys + bus.Token(r.By), Data: data}); err != nil {
		return true, fmt.Errorf("record that content is refused: %w", err)
	}
	return true, nil
}

// Accept removes the record of the content that a jet-bus refused last, if there is one.
func Accept(ctx context.Context, b *bus.Bus, by string) error {
	all, err := Refusals(ctx, b)
	if err != nil {
		return err
	}
	for _, old := range all {
		if old.By != by {
			continue
		}
		kv, err := b.JS.KeyValue(ctx, bus.BucketConfig)
		if err == nil {
			err = kv.Delete(ctx, bus.KeyRefused+"."+bus.Token(by))
		}
		if err != nil {
			return fmt.Errorf("remove the record of refused content: %w", err)
		}
	}
	return nil
}

// Refusals returns the refusals of all jet-bus on the bus. It needs no more than a viewer's rights.
func Refusals(ctx context.Context, b *bus.Bus) ([]Refusal, error) {
	newest := make(map[string]int)
	var all []Refusal
	for m, err := range b.Tail(ctx, "KV_"+bus.BucketConfig, refusalKeys+"*", bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("see what content was refused: %w", err)
		}
		var r Refusal
		if len(m.Data) > 0 { // else it was removed
			if err := json.Unmarshal(m.Data, &r); err != nil {
				return nil, fmt.Errorf("decode the refusal at sequence %d: %w", m.Seq, err)
			}
		}
		if i, ok := newest[m.Subject]; ok {
			all[i] = r
			continue
		}
		newest[m.Subject] = len(all)
		all = append(all, r)
	}
	var out []Refusal
	for _, r := range all {
		if r.Content != "" {
			out = append(out, r)
		}
	}
	return out, nil
}

// Summary is a refusal in one line, for people.
func (r Refusal) Summary() string {
	var s strings.Builder
	s.WriteString(r.Reason)
	where := ", in "
	if r.Revision != "" {
		fmt.Fprintf(&s, ", in revision %.12s", r.Revision)
		where = " of "
	}
	if r.From != "" {
		s.WriteString(where + r.From)
	}
	if r.By != "" {
		s.WriteString(", on " + r.By)
	}
	fmt.Fprintf(&s, ", since %s", r.At.UTC().Format("2006-01-02 15:04 MST"))
	return s.String()
}
