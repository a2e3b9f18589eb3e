package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestRoomLetsInByNumberAndSizeAndTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(3, 100)
		ctx := t.Context()
		for _, size := range []int{60, 30} {
			if err := r.enter(ctx, size); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for _, size := range []int{50, 5, 41} { // 5 would fit, but is not first
			wg.Go(func() {
				if err := r.enter(ctx, size); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, size)
			})
			synctest.Wait()
		}
		expect := func(what string, want ...int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(order) // who comes in at the same moment is in no order
			if !slices.Equal(order, want) {
				t.Errorf("%s: entered %v, want %v", what, order, want)
			}
		}
		expect("full")
		r.leave(30)
		expect("40 bytes left")
		r.leave(60)
		expect("all left", 5, 41, 50)
		wg.Wait()
	})
}

func TestRoomTakesOneLargerThanAllOfIt(t *testing.T) {
	t.Parallel()
	r := newRoom(2, 10)
	if err := r.enter(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if err := r.enter(ended, 1); !errors.Is(err, why) {
		t.Errorf("a second one: %v, want to wait until its context ends", err)
	}
	r.leave(500)
	if err := r.enter(t.Context(), 1); err != nil {
		t.Errorf("after the large one: %v", err)
	}
}

func TestRoomGivenUpMakesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(9, 10)
		if err := r.enter(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		large, small := make(chan error, 1), make(chan error, 1)
		go func() { large <- r.enter(ctx, 8) }()
		synctest.Wait()
		go func() { small <- r.enter(t.Context(), 3) }()
		synctest.Wait()
		if len(small) > 0 {
			t.Error("the second overtook the first")
		}
		cancel()
		if err := <-large; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if err := <-small; err != nil {
			t.Errorf("behind the one that gave up: %v", err)
		}
	})
}

func TestRoomClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(1, 10)
		if err := r.enter(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		waits := make(chan error, 1)
		go func() { waits <- r.enter(t.Context(), 1) }()
		synctest.Wait()
		r.close()
		r.close()
		if err := <-waits; !errors.Is(err, ErrUnavailable) {
			t.Errorf("one who waited: %v, want unavailable", err)
		}
		if err := r.enter(t.Context(), 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("one who comes later: %v, want unavailable", err)
		}
		select {
		case <-r.left:
			t.Error("the room is said to be empty")
		default:
		}
		r.hold() // for a batch that outlives its sender
		r.leave(1)
		select {
		case <-r.left:
			t.Error("the room is said to be empty, it is held")
		default:
		}
		r.release()
		<-r.left
	})
}
