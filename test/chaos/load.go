package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// sent is an event of the load, and what became of sending it.
type sent struct {
	ID     string   `json:"id"`
	Source string   `json:"source"`
	Type   string   `json:"type"`
	Hosts  []string `json:"hosts"`
	Key    string   `json:"key,omitempty"` // of a half of what rules wait for
	Skip   bool     `json:"skip,omitempty"`
	// First and Last are when it was offered first and last.
	First time.Duration `json:"first"`
	Last  time.Duration `json:"last"`
	// Answers are those that accepted it.
	Answers []answer `json:"answers"`
	Refused int      `json:"refused"` // tries that were not answered, or not accepted
}

// answer is what an accepted event was answered with.
type answer struct {
	At        time.Duration `json:"at"`
	Seq       uint64        `json:"seq"`
	Duplicate bool          `json:"duplicate,omitempty"`
}

// rules are the names of the rules that fire for it.
func (s *sent) rules() []string { return rulesOf(s.Type, s.Skip) }

// next makes event n of a load; the same generator gives the same events.
func next(rng *rand.Rand, n, hosts int) (*sent, float64) {
	s := &sent{ID: fmt.Sprintf("e%05d", n), Source: "/chaos/http"}
	if rng.IntN(2) == 0 {
		s.Source = "/chaos/bus"
	}
	count := 1
	switch p := rng.IntN(100); {
	case p < 10:
		s.Type = typeNone
	case p < 60:
		s.Type = typeOne
	case p < 65:
		s.Type, s.Skip = typeOne, true
	case p < 85:
		s.Type = typeTwo
	default:
		s.Type, count = typeGroup, 2+rng.IntN(min(2, hosts-1))
	}
	for _, i := range rng.Perm(hosts)[:count] {
		s.Hosts = append(s.Hosts, hostName(i))
	}
	slices.Sort(s.Hosts)
	// Most tasks are short; some last longer than the lease.
	work := 0.05 + 0.2*rng.Float64()
	if rng.IntN(20) == 0 {
		work = 2 + rng.Float64()
	}
	return s, work
}

// load sends events until it is told to stop.
type load struct {
	rate   float64
	seed   uint64
	hosts  int
	url    string // of the webhook
	secret string
	bus    *bus.Bus
	now    func() time.Duration
	// open reports how many jobs wait or run, to hold back when it is too many.
	open func() int

	mu   sync.Mutex
	sent []*sent
}

const (
	// mostOpen is how many jobs may be open before the load waits.
	mostOpen = 24
	// again is how long a sender waits before it offers an event again.
	again = 300 * time.Millisecond
	// offer is how long one try may take.
	offer = 15 * time.Second
)

// run makes events until stop is closed, and returns when all are accepted or ctx ends.
func (l *load) run(ctx context.Context, stop <-chan struct{}) []*sent {
	rng := rand.New(rand.NewPCG(l.seed, 2)) //nolint:gosec // the same for the same seed
	var wg sync.WaitGroup
	wg.Go(func() { l.halves(ctx, stop) })
	for n := 0; ; n++ {
		s, work := next(rng, n, l.hosts)
		wait := time.Duration(min(rng.ExpFloat64(), 4) / l.rate * float64(time.Second))
		// Some are sent once more though they are accepted: at once, or much later.
		again := time.Duration(-1)
		if rng.IntN(7) == 0 {
			again = []time.Duration{0, time.Second, 20 * time.Second, 70 * time.Second}[rng.IntN(4)]
		}
		for first := true; first || l.open() > mostOpen; first = false {
			select {
			case <-stop:
				wg.Wait()
				return l.sent // halves that were sent last are among them
			case <-time.After(wait):
			}
		}
		l.mu.Lock()
		l.sent = append(l.sent, s)
		l.mu.Unlock()
		wg.Go(func() {
			l.insist(ctx, s, work)
			if again >= 0 && l.wait(ctx, stop, again) {
				l.insist(ctx, s, work)
			}
		})
	}
}

// halves sends what the rules that remember wait for, until stop is closed and all is accepted. It makes
// few jobs, and does not wait for these.
func (l *load) halves(ctx context.Context, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(l.seed, 3)) //nolint:gosec // the same for the same seed
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := 0; ; n++ {
		s := nextHalf(rng, n, l.hosts)
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(min(rng.ExpFloat64(), 4) / l.rate * float64(time.Second))):
		}
		l.mu.Lock()
		l.sent = append(l.sent, s)
		l.mu.Unlock()
		wg.Go(func() { l.insist(ctx, s, 0.05) })
	}
}

// wait waits for d, or for the end of the load.
func (l *load) wait(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-stop:
	case <-time.After(d):
	}
	return true
}

// insist offers an event until it is accepted.
func (l *load) insist(ctx context.Context, s *sent, work float64) {
	e, err := events.New(s.Source, s.Type, map[string]any{
		"hosts": s.Hosts, "skip": s.Skip, "key": s.Key, "work": fmt.Sprintf("%.2f", work),
	})
	if err != nil {
		panic(err) // made of constants
	}
	e.SetID(s.ID)
	for {
		begun := l.now()
		if s.First == 0 {
			s.First = begun
		}
		try, cancel := context.WithTimeout(ctx, offer)
		a, err := l.send(try, e)
		cancel()
		s.Last = l.now()
		if err == nil {
			a.At = s.Last
			s.Answers = append(s.Answers, a)
			return
		}
		s.Refused++
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// send offers an event once, by the way its source says.
func (l *load) send(ctx context.Context, e events.Event) (a answer, err error) {
	if e.Source() == "/chaos/bus" {
		ack, err := l.bus.PublishEvent(ctx, bus.ClassExternal, e)
		return answer{Seq: ack.Seq, Duplicate: ack.Duplicate}, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header = webhook.Sign(webhook.CloudEvents, []byte(l.secret), body)
	req.Header.Set("Content-Type", events.MediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusAccepted {
		return a, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return a, json.Unmarshal(text, &a)
}
