package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// stuck is a connection whose body does not end by itself.
type stuck struct {
	*httptest.ResponseRecorder
	once  sync.Once
	ended chan struct{}
}

func (s *stuck) SetReadDeadline(time.Time) error {
	s.once.Do(func() { close(s.ended) })
	return nil
}

// large is a request with a body of size bytes.
func large(hook, id string, size int) *http.Request {
	body := `{"specversion":"1.0","id":"` + id + `","source":"/p","type":"com.example.p","data":"` + strings.Repeat("x", size) + `"}`
	r := event(hook, "")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

// Large bodies that do not end take the memory there is for them; who needs some then gets
// that of the oldest, which is hung up on.
func TestBodiesInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}}
		h, err := webhook.New([]webhook.Hook{hook}, &store{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var all []*stuck
		begin := func() {
			s := &stuck{ResponseRecorder: httptest.NewRecorder(), ended: make(chan struct{})}
			all = append(all, s)
			r := event("ci", "large")
			r.Body = io.NopCloser(slow{strings.NewReader(strings.Repeat("x", 4<<20-1)), s.ended})
			r.ContentLength = 4 << 20
			wg.Go(func() { h.ServeHTTP(s, r) })
			synctest.Wait()
		}
		ended := func(s *stuck) bool {
			select {
			case <-s.ended:
				return true
			default:
				return false
			}
		}
		const full = 8 // times 4 MiB, of which the first part of each is not counted
		for range full {
			begin()
		}
		for i, s := range all {
			if ended(s) {
				t.Errorf("%d was hung up on while there was memory", i)
			}
		}
		if status, answer, _ := do(h, event("ci", "small")); status != 202 {
			t.Errorf("a small one: %d %v", status, answer)
		}
		for i := range 3 {
			if status, answer, _ := do(h, large("ci", fmt.Sprint(i), 200<<10)); status != 202 {
				t.Errorf("a large one: %d %v", status, answer)
			}
		}
		synctest.Wait()
		for i, s := range all {
			if ended(s) != (i == 0) {
				t.Errorf("%d was hung up on: %v; the oldest alone has to go", i, ended(s))
			}
		}
		begin() // in the place of the first
		begin()
		if !ended(all[1]) || ended(all[2]) || ended(all[full]) {
			t.Error("the next did not take the place of the oldest that was left")
		}
		for _, s := range all {
			s.once.Do(func() { close(s.ended) })
		}
		wg.Wait()
		for i, s := range all {
			want := http.StatusBadRequest // it ended in the middle
			if i < 2 {
				want = http.StatusServiceUnavailable
			}
			if s.Code != want || (want == 503) != (s.Header().Get("Retry-After") != "") {
				t.Errorf("%d: %d %s, want %d", i, s.Code, s.Body, want)
			}
		}
	})
}

// busy stores nothing until it may.
type busy struct {
	store
	may     chan struct{}
	mu      sync.Mutex
	at, top int
}

func (b *busy) PublishEvent(ctx context.Context, e events.Event, same string) (uint64, bool, error) {
	b.mu.Lock()
	b.at++
	b.top = max(b.top, b.at)
	b.mu.Unlock()
	<-b.may
	b.mu.Lock()
	b.at--
	b.mu.Unlock()
	return b.store.PublishEvent(ctx, e, same)
}

// Only so much is worked on at once. The others wait, first come, first served, and are told
// to try again when that takes too long. Who is a stranger is told so without waiting.
func TestWorkAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}}
		b := &busy{may: make(chan struct{})}
		h, err := webhook.New([]webhook.Hook{hook}, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		const each, all = 200 << 10, 60
		var wg sync.WaitGroup
		statuses := map[int]int{}
		var mu sync.Mutex
		send := func(id string) {
			wg.Go(func() {
				status, answer, header := do(h, large("ci", id, each))
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
				if status == 503 && (header.Get("Retry-After") == "" || !strings.Contains(sentence(answer), "try again")) {
					t.Errorf("%v %v", header, answer)
				}
			})
		}
		for i := range all {
			send(fmt.Sprint(i))
		}
		synctest.Wait()
		stranger := event("ci", "x")
		stranger.Header.Set("Authorization", "Bearer wrong")
		if status, answer, _ := do(h, stranger); status != 401 {
			t.Errorf("a stranger: %d %v", status, answer)
		}
		// 4 MiB of bodies.
		if b.at < 15 || b.at > 20 {
			t.Errorf("%d are worked on at once", b.at)
		}
		first := b.at
		time.Sleep(6 * time.Second) // in the bubble: until those who wait have given up
		synctest.Wait()
		if statuses[503] != all-first {
			t.Errorf("%v, want %d that are to try again", statuses, all-first)
		}
		for i := range all {
			send("again " + fmt.Sprint(i))
		}
		synctest.Wait()
		close(b.may)
		wg.Wait()
		if statuses[202] != first+all || b.top != first {
			t.Errorf("%v, %d at once; want %d stored, %d at once", statuses, b.top, first+all, first)
		}
		// All the room is there again, also for what is larger than that.
		batch := event("ci", "")
		text := "[" + strings.Repeat(" ", 4<<20-3) + "]"
		batch.Body, batch.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		batch.Header.Set("Content-Type", "application/cloudevents-batch+json")
		if status, answer, _ := do(h, batch); status == 503 {
			t.Errorf("the largest: %d %v", status, answer)
		}
	})
}

// deadlines notes how long it is given.
type deadlines struct {
	store
	given []time.Duration
}

func (d *deadlines) PublishEvent(ctx context.Context, e events.Event, same string) (uint64, bool, error) {
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now()
	}
	d.given = append(d.given, time.Until(until))
	time.Sleep(4 * time.Second) // in a bubble
	return d.store.PublishEvent(ctx, e, same)
}

// Waiting for a turn and storing the event together take no longer than senders wait for the answer.
func TestAnsweredWithin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hook := webhook.Hook{Name: "ci", Kind: webhook.CloudEvents, Secrets: [][]byte{[]byte(secret)}}
		d := &deadlines{}
		h, err := webhook.New([]webhook.Hook{hook}, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Each takes all the room.
		fill := func() {
			text := `{"specversion":"1.0","id":"1","source":"/p","type":"com.example.p"}` + strings.Repeat(" ", 4<<20-100)
			r := event("ci", "")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			do(h, r)
		}
		var wg sync.WaitGroup
		wg.Go(fill)
		synctest.Wait()
		wg.Go(fill)
		wg.Wait()
		if len(d.given) != 2 || d.given[0] != 8*time.Second || d.given[1] != 4*time.Second {
			t.Errorf("given %v, want 8s, and 4s after 4s of waiting", d.given)
		}
	})
}
