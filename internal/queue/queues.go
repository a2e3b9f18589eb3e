package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Info is one queue: its name, and what its jobs need.
type Info struct {
	Name  string            `json:"queue"`
	Needs map[string]string `json:"needs,omitempty"`
}

// Queues returns all queues, in the order in which they were made. It needs no
// more than a viewer's rights.
func (q *Queue) Queues(ctx context.Context) ([]Info, error) {
	const prefix = "$KV." + bus.BucketQueues + "."
	var out []Info
	for m, err := range q.bus.Tail(ctx, "KV_"+bus.BucketQueues, prefix+">", bus.TailOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list queues: %w", err)
		}
		if len(m.Data) == 0 {
			continue // it was removed
		}
		i := Info{Name: strings.TrimPrefix(m.Subject, prefix)}
		if err := json.Unmarshal(m.Data, &i.Needs); err != nil {
			return nil, fmt.Errorf("list queues: decode %s: %w", m.Subject, err)
		}
		out = append(out, i)
	}
	return out, nil
}

// Reopen opens every queue there ever was: the stream of wake-ups may have been made
// anew, and jobs of an earlier rule set may wait.
func (q *Queue) Reopen(ctx context.Context, lease Timing) error {
	all, err := q.Queues(ctx)
	if err != nil {
		return err
	}
	for _, i := range all {
		if err := q.Open(ctx, i.Needs, lease); err != nil {
			return err
		}
	}
	return nil
}
