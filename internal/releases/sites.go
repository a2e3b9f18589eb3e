package releases

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxPoll is how long one page may take: others wait for their turn.
const maxPoll = 5 * time.Minute

// maxSlot is how long a poll waits in the midst of its work where a site leaves
// little to ask.
const maxSlot = 10 * time.Minute

// Sites is what the watchers of a process share: a site is asked one thing at a
// time, and no more often than it allows. It is safe for concurrent use.
type Sites struct {
	client *Client

	mu      sync.Mutex
	turns   map[string]chan struct{} // by host
	budgets map[account]*budget
}

// account is whom a site counts requests for.
type account struct{ host, token string }

// NewSites returns Sites that have asked nobody yet.
func NewSites() *Sites {
	s := &Sites{client: NewClient(), turns: make(map[string]chan struct{}), budgets: make(map[account]*budget)}
	s.client.answered = s.note
	return s
}

// ErrLater means that a site leaves too little to ask it now.
var ErrLater = errors.New("the site is to be asked later")

// Ready returns when the site of a repository may be asked next: now, or later if
// it takes no more requests, or has few left, which are then spread.
func (s *Sites) Ready(r Repository) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.budget(r).ready(s.client.now())
}

// budget returns that of a repository. The lock is held.
func (s *Sites) budget(r Repository) *budget {
	key := account{host(r), r.Token}
	b := s.budgets[key]
	if b == nil {
		b = new(budget)
		s.budgets[key] = b
	}
	return b
}

func host(r Repository) string {
	u, err := url.Parse(r.Base)
	if err != nil {
		return r.Base
	}
	return u.Host
}

// note keeps what an answer says of limits.
func (s *Sites) note(r Repository, h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.budget(r).note(h, s.client.now())
}

// page asks for a page when the site may be asked for it.
func (s *Sites) page(ctx context.Context, client *http.Client, r Repository, at string, known page) (got page, changed bool, err error) {
	if err := s.wait(ctx, r); err != nil {
		return got, false, err
	}
	s.mu.Lock()
	turn := s.turns[host(r)]
	if turn == nil {
		turn = make(chan struct{}, 1)
		s.turns[host(r)] = turn
	}
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return got, false, context.Cause(ctx)
	}
	defer func() { <-turn }()
	ctx, cancel := context.WithTimeoutCause(ctx, maxPoll, fmt.Errorf("the answer took longer than %s", maxPoll))
	defer cancel()
	got, changed, err = s.client.page(ctx, client, r, at, known)
	if refused, ok := errors.AsType[*LimitError](err); ok {
		s.mu.Lock()
		s.budget(r).refused = refused
		s.mu.Unlock()
	}
	return got, changed, err
}

// wait waits until a request may be sent.
func (s *Sites) wait(ctx context.Context, r Repository) error {
	for {
		s.mu.Lock()
		b, now := s.budget(r), s.client.now()
		if b.refused != nil && now.Before(b.refused.Until) {
			defer s.mu.Unlock()
			return b.refused
		}
		at := b.ready(now)
		if !at.After(now) {
			b.spend(now)
		}
		s.mu.Unlock()
		switch pause := at.Sub(now); {
		case pause <= 0:
			return nil
		case pause > maxSlot:
			return ErrLater
		default:
			if err := s.client.sleep(ctx, pause); err != nil {
				return err
			}
		}
	}
}
