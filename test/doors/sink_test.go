package doors

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// sink takes CloudEvents, but for some: of those it refuses half, and of the others it
// says nothing.
type sink struct {
	url string

	mu    sync.Mutex
	rnd   *rand.Rand
	order map[string][]string       // ids as they came first, by path and source
	times map[string]map[string]int // how often each came, by path, of "source id"
	moods int
}

func newSink(t *testing.T, seed uint64) *sink {
	t.Helper()
	k := &sink{rnd: rand.New(rand.NewPCG(seed, 1)), order: map[string][]string{}, times: map[string]map[string]int{}}
	s := httptest.NewServer(k)
	t.Cleanup(s.Close)
	k.url = s.URL
	return k
}

// ServeHTTP takes an event.
func (k *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct{ ID, Source string }
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	mood := k.rnd.IntN(1200)
	if mood < 2 {
		k.moods++
	}
	if mood != 0 {
		k.take(r.URL.Path, e.Source, e.ID)
	}
	k.mu.Unlock()
	switch mood {
	case 0:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case 1:
		panic(http.ErrAbortHandler) // it was taken, and nobody hears of it
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (k *sink) take(path, source, id string) {
	if k.times[path] == nil {
		k.times[path] = map[string]int{}
	}
	if k.times[path][source+" "+id]++; k.times[path][source+" "+id] == 1 {
		k.order[path+" "+source] = append(k.order[path+" "+source], id)
	}
}

// has returns how many of the events have come to a path, and one that has not.
func (k *sink) has(path string, of []stored) (n int, missing string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range of {
		if k.times[path][e.Source()+" "+e.ID()] > 0 {
			n++
		} else if missing == "" {
			missing = e.Source() + " " + e.ID()
		}
	}
	return n, missing
}

// came returns the ids of a source, as they came first.
func (k *sink) came(path, source string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.order[path+" "+source]
}
