package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Publication is an event that a task publishes.
type Publication struct {
	// Key tells it from what other tasks of the run publish, and for other hosts
	// and items. It is the same whenever the same playbook runs again, so that
	// what is published by a second attempt at a job can be known for the same.
	Key string
	// Type, Source and Subject are attributes of the event. Source is empty when
	// the playbook leaves it open, Subject when there is none.
	Type, Source, Subject string
	// Data is what YAML can say, and nil when there is none.
	Data any
}

// Published says what became of a [Publication].
type Published struct {
	ID, Source string
	// Duplicate is true when the event was stored before.
	Duplicate bool
}

// errNoBus is what tasks that publish fail with where nobody takes events.
var errNoBus = errors.New("this run has no bus to publish on")

// Publish stores an event on the bus, with the secrets of hosts hidden. It is for
// Apply, which calls it once: publishing again in another attempt at the task, or
// at the whole job, stores nothing more.
func (h *Host) Publish(ctx context.Context, p Publication) (Published, error) {
	x := h.run.x
	if x.Options.Publish == nil {
		return Published{}, errNoBus
	}
	kind := "task"
	if x.handler {
		kind = "handler"
	}
	p.Key = fmt.Sprintf("%d/%s/%d/%d/%d/%s",
		x.plan.number, kind, x.number, x.host.performed[x.step], x.item, x.host.host.Name)
	hide := x.veil.replacer()
	p.Source, p.Subject, p.Data = hide.Replace(p.Source), hide.Replace(p.Subject), hidden(hide, p.Data)
	return x.Options.Publish(ctx, p)
}

// hidden returns v without what r replaces in its texts.
func hidden(r *strings.Replacer, v any) any {
	switch v := v.(type) {
	case string:
		return r.Replace(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = hidden(r, e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[r.Replace(k)] = hidden(r, e)
		}
		return out
	default:
		return v
	}
}
