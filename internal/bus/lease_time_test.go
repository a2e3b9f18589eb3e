package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// register is one record with compare-and-set, as a bucket is.
type register struct {
	mu  sync.Mutex
	now tenure
	rev uint64
}

func (r *register) get() (tenure, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.rev
}

func (r *register) set(t tenure, rev uint64) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev != r.rev {
		return 0, ErrConflict
	}
	r.now = t
	r.rev++
	return r.rev, nil
}

// holder is a hold on r whose requests pass through way, which may delay or fail
// them before and after they arrive.
func holder(r *register, id string, way func(ctx context.Context) error) *hold {
	return &hold{
		me:  tenure{ID: id, Name: id},
		log: slog.New(slog.DiscardHandler),
		read: func(ctx context.Context) (tenure, uint64, error) {
			if err := way(ctx); err != nil {
				return tenure{}, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			t, rev := r.get()
			return t, rev, way(ctx)
		},
		write: func(ctx context.Context, t tenure, rev uint64) (uint64, error) {
			if err := way(ctx); err != nil {
				return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			rev, err := r.set(t, rev)
			if err != nil {
				return 0, err
			}
			if err := way(ctx); err != nil {
				return 0, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
			}
			return rev, nil
		},
	}
}

// always lets every request pass at once.
func always(ctx context.Context) error { return ctx.Err() }

// waits fails every request after its time is up, while off is set.
func waits(off *atomic.Bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if off.Load() {
			<-ctx.Done()
		}
		return ctx.Err()
	}
}

// stints records when works began and ended.
type stints struct {
	mu     sync.Mutex
	start  time.Time
	log    []string
	inside int
	most   int
}

func (s *stints) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf("%s %s", time.Since(s.start).Round(10*time.Millisecond), what))
}

// work is what a holder does: nothing, until it is told to stop and takes slow
// to do so.
func (s *stints) work(id string, slow time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		s.mu.Lock()
		s.inside++
		s.most = max(s.most, s.inside)
		s.mu.Unlock()
		s.note(id + " begins")
		<-ctx.Done()
		time.Sleep(slow)
		s.note(id + " ends")
		s.mu.Lock()
		s.inside--
		s.mu.Unlock()
		return context.Cause(ctx)
	}
}

func (s *stints) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if fmt.Sprint(s.log) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", s.log, want)
	}
}

func TestHoldIsHandedOverAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r register
		s := &stints{start: time.Now()}
		first, stop := context.WithCancel(t.Context())
		second, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = holder(&r, "a", always).hold(first, s.work("a", 3*time.Second)) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _ = holder(&r, "b", always).hold(second, s.work("b", 0)) })
		time.Sleep(59900 * time.Millisecond)
		stop()
		time.Sleep(10 * time.Second)
		end()
		wg.Wait()
		// a takes three seconds to stop, and keeps the singleton meanwhile.
		s.expect(t, "0s a begins", "1m3s a ends", "1m3.1s b begins", "1m10s b ends")
		if now, _ := r.get(); now != (tenure{}) {
			t.Errorf("it is left to %q", now.ID)
		}
	})
}

func TestHoldIsTakenOverFromTheSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r register
		var off atomic.Bool
		s := &stints{start: time.Now()}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = holder(&r, "a", waits(&off)).hold(ctx, s.work("a", 0)) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _ = holder(&r, "b", always).hold(ctx, s.work("b", 0)) })
		time.Sleep(2 * time.Second)
		off.Store(true) // after the renewal at 2 s
		time.Sleep(20 * time.Second)
		off.Store(false)
		time.Sleep(20 * time.Second)
		stop()
		wg.Wait()
		// a stops five seconds after its last confirmed renewal, b begins eight
		// seconds after it first saw that one.
		s.expect(t, "0s a begins", "7s a ends", "10.1s b begins", "42.1s b ends")
	})
}

func TestHoldSurvivesAShortSilenceAndResumesAfterALongOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r register
		var off atomic.Bool
		s := &stints{start: time.Now()}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = holder(&r, "a", waits(&off)).hold(ctx, s.work("a", 0)) })
		time.Sleep(2100 * time.Millisecond)
		off.Store(true)
		time.Sleep(2500 * time.Millisecond)
		off.Store(false)
		time.Sleep(10 * time.Second)
		s.expect(t, "0s a begins")
		off.Store(true)
		time.Sleep(7 * time.Second)
		off.Store(false)
		time.Sleep(10 * time.Second)
		stop()
		wg.Wait()
		if len(s.log) != 4 {
			t.Errorf("want it lost and had again, got %v", s.log)
		}
	})
}

func TestHoldKnowsARenewalWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r register
		s := &stints{start: time.Now()}
		ctx, stop := context.WithCancel(t.Context())
		requests := 0
		// Now and then a request is lost, or arrives and is not answered.
		way := func(ctx context.Context) error {
			if requests++; requests%7 == 0 {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		var wg sync.WaitGroup
		wg.Go(func() { _ = holder(&r, "a", way).hold(ctx, s.work("a", 0)) })
		time.Sleep(5 * time.Minute)
		stop()
		wg.Wait()
		s.expect(t, "0s a begins", "5m0s a ends")
	})
}

func TestHoldReturnsWhatWorkSays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r register
		want := errors.New("no more")
		if err := holder(&r, "a", always).hold(t.Context(), func(context.Context) error { return want }); !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
		if err := holder(&r, "b", always).hold(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// TestHoldIsAlone has three that hold over ways that fail and hang at random,
// with works that take most of the three seconds that they have to stop.
func TestHoldIsAlone(t *testing.T) {
	t.Parallel()
	const seeds = 60
	held := 0
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			var r register
			s := &stints{start: time.Now()}
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for i := range uint64(3) {
				id := string(rune('a' + i))
				way := unreliable(rand.New(rand.NewPCG(seed, i)))
				wg.Go(func() { _ = holder(&r, id, way).hold(ctx, s.work(id, 2900*time.Millisecond)) })
			}
			time.Sleep(10 * time.Minute)
			stop()
			wg.Wait()
			if s.most > 1 {
				t.Errorf("seed %d: %d at once: %v", seed, s.most, s.log)
			}
			held += len(s.log) / 2
		})
	}
	if held < 5*seeds {
		t.Errorf("it was held %d times in %d runs: the test tests nothing", held, seeds)
	}
}

// unreliable is a way with good and bad times of some seconds.
func unreliable(rnd *rand.Rand) func(context.Context) error {
	var until time.Time
	bad := false
	return func(ctx context.Context) error {
		for now := time.Now(); !until.After(now); {
			bad = !bad
			until = now.Add(time.Duration(1+rnd.IntN(20000)) * time.Millisecond)
		}
		sleep(ctx, time.Duration(rnd.IntN(50))*time.Millisecond)
		if bad && rnd.IntN(10) > 0 {
			if rnd.IntN(2) == 0 {
				<-ctx.Done()
			}
			return errors.Join(ctx.Err(), errors.New("lost on the way"))
		}
		return ctx.Err()
	}
}
