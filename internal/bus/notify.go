package bus

import (
	"context"
	"fmt"
	"regexp"
	"sync"
)

// denials connects the server's refusals, which name a subject and nothing
// else, with the callers that publish or subscribe to it.
type denials struct {
	mu      sync.Mutex
	subject *regexp.Regexp
	waiting map[string]map[*context.CancelCauseFunc]struct{}
}

func newDenials() *denials {
	return &denials{
		subject: regexp.MustCompile(`(?i)(?:publish|subscription) to "([^"]+)"`),
		waiting: make(map[string]map[*context.CancelCauseFunc]struct{}),
	}
}

// watch gives a context that ends with ErrDenied if the server refuses subject
// before done is called.
func (d *denials) watch(ctx context.Context, subject string) (watched context.Context, done func()) {
	watched, cancel := context.WithCancelCause(ctx)
	key := &cancel
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting[subject] == nil {
		d.waiting[subject] = make(map[*context.CancelCauseFunc]struct{})
	}
	d.waiting[subject][key] = struct{}{}
	return watched, func() {
		cancel(nil)
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.waiting[subject], key)
		if len(d.waiting[subject]) == 0 {
			delete(d.waiting, subject)
		}
	}
}

// tell ends the waits that a refusal concerns.
func (d *denials) tell(err error) {
	m := d.subject.FindStringSubmatch(err.Error())
	if m == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for cancel := range d.waiting[m[1]] {
		(*cancel)(fmt.Errorf("%w: %s", ErrDenied, m[1]))
	}
}

// broadcast wakes everyone who waits, any number of times.
type broadcast struct {
	mu   sync.Mutex
	next chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{next: make(chan struct{})} }

// wait gives a channel that is closed at the next fire.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}
