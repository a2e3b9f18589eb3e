package flood

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// senders is how many requests are under way at once, at most: those that are due meanwhile wait, and their time
// counts.
const senders = 1000

// load is the requests, and what became of them.
type load struct {
	settings Settings
	base     string
	maker    *maker
	client   *http.Client

	good, bad tally
	faults    *faults

	mu       sync.Mutex
	accepted map[event]stored
}

// event is what makes an event one and the same.
type event struct{ source, id string }

// stored is where an accepted event must be, and what must be in it.
type stored struct {
	seq  uint64
	body []byte
}

func newLoad(s Settings, base string, secrets secrets, f *faults) *load {
	dialer := &net.Dialer{Timeout: s.AnswerIn}
	return &load{
		settings: s, base: base, maker: newMaker(s, secrets), accepted: map[event]stored{}, faults: f,
		client: &http.Client{Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxConnsPerHost: senders, MaxIdleConnsPerHost: senders, ExpectContinueTimeout: s.AnswerIn,
		}},
	}
}

// run sends every request when it is due, and waits for all the answers.
func (l *load) run(ctx context.Context) {
	total := int(l.settings.For.Seconds() * float64(l.settings.Rate))
	work := make(chan request, total) // what is due waits here for a sender
	var wg sync.WaitGroup
	defer l.client.CloseIdleConnections()
	defer wg.Wait()
	defer close(work)
	for range min(senders, total) {
		wg.Go(func() {
			for r := range work {
				l.send(ctx, r)
			}
		})
	}
	start := time.Now()
	wait := time.NewTimer(0)
	defer wait.Stop()
	for n := range total {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(l.settings.Rate))
		if early := time.Until(due); early > 0 {
			wait.Reset(early)
			select {
			case <-ctx.Done():
				return
			case <-wait.C:
			}
		}
		work <- request{n, due}
	}
}

// request is a number and the time at which it is due.
type request struct {
	n   int
	due time.Time
}

// send sends one request and notes what became of it.
func (l *load) send(ctx context.Context, r request) {
	n, d := r.n, l.maker.make(r.n)
	status, answer, err := l.post(ctx, d)
	took := time.Since(r.due)
	of := &l.bad
	if d.good {
		of = &l.good
	}
	of.add(status, took, err)
	switch {
	case err != nil:
	case d.good && status == http.StatusAccepted:
		l.accept(n, d, answer)
	case d.good && status == http.StatusServiceUnavailable, d.limited && status == http.StatusTooManyRequests:
	case d.good:
		l.faults.add("good delivery %d to %s was answered with %d: %s", n, d.hook, status, answer)
	case status < 400 || status >= 500 && status != http.StatusServiceUnavailable:
		l.faults.add("bad delivery %d to %s was answered with %d: %s", n, d.hook, status, answer)
	}
}

// post returns the answer to a delivery. Its error is that there was none.
func (l *load) post(ctx context.Context, d delivery) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.settings.AnswerIn)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+"/hooks/"+d.hook, bytes.NewReader(d.body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = d.header
	if d.length > 0 {
		req.ContentLength = d.length
		req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(d.body), io.LimitReader(zeros{}, d.length-int64(len(d.body)))))
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	if answer, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, err
	}
	if s := resp.StatusCode; (s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable) && resp.Header.Get("Retry-After") == "" {
		l.faults.add("an answer of %d does not say when to try again: %s", s, answer)
	}
	return resp.StatusCode, answer, nil
}

// accept notes that an event was accepted.
func (l *load) accept(n int, d delivery, answer []byte) {
	var a struct {
		ID, Source string
		Seq        uint64
		Duplicate  bool
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.ID == "" || a.Seq == 0 {
		l.faults.add("delivery %d was accepted without saying as what: %s", n, answer)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := event{a.Source, a.ID}
	if before, ok := l.accepted[key]; ok && before.seq != a.Seq {
		l.faults.add("event %s was accepted at %d and at %d", a.ID, before.seq, a.Seq)
		return
	}
	l.accepted[key] = stored{a.Seq, d.body}
}

// insist sends one good delivery after the other until over, each again and again until it is accepted, and returns how
// many were, and the longest that took.
func (l *load) insist(ctx context.Context, over <-chan struct{}) (r Patient) {
	for n := patientFirst; ; n += 10 { // each to the webhook that takes as many as come
		began := time.Now()
		for accepted := false; !accepted; {
			if time.Since(began) > patience {
				l.faults.add("a good delivery was refused for %s", patience)
				return r
			}
			d := l.maker.makeGood(n)
			status, answer, err := l.post(ctx, d)
			if accepted = err == nil && status == http.StatusAccepted; accepted {
				l.accept(n, d, answer)
				continue
			}
			r.Again++
			select {
			case <-ctx.Done():
				return r
			case <-time.After(100 * time.Millisecond):
			}
		}
		r.Accepted++
		r.Longest = max(r.Longest, time.Since(began))
		select {
		case <-over:
			return r
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// tally counts answers. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	statuses map[int]int
	errs     int
	timeouts int
	took     []time.Duration
}

func (t *tally) add(status int, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.statuses == nil {
		t.statuses = map[int]int{}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		t.timeouts++
	case err != nil:
		t.errs++
	default:
		t.statuses[status]++
	}
	t.took = append(t.took, took)
}

// result is what was counted.
func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	r := Result{Sent: len(t.took), Statuses: t.statuses, Errors: t.errs, Timeouts: t.timeouts}
	if n := len(t.took); n > 0 {
		r.P50, r.P99, r.Max = t.took[(n-1)/2], t.took[(n-1)*99/100], t.took[n-1]
	}
	return r
}

// faults is what went wrong, the first of it in words. It is safe for concurrent use.
type faults struct {
	mu   sync.Mutex
	list []string
	more int
}

func (f *faults) add(format string, v ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	const most = 20
	if len(f.list) == most {
		f.more++
		return
	}
	f.list = append(f.list, fmt.Sprintf(format, v...))
}

// all is what was added.
func (f *faults) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.list)
	if f.more > 0 {
		all = append(all, fmt.Sprintf("and %d faults more", f.more))
	}
	return all
}
