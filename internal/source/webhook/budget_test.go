package webhook

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Memory that bodies have which are there is waited for; that of the oldest which is not is taken, and the oldest
// takes none of others.
func TestBudget(t *testing.T) {
	t.Parallel()
	const all, unit = 10 << 20, 1 << 20
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(all)
		hungUp := 0
		holding := func() *holding { return &holding{budget: b, hangUp: func() { hungUp++ }} }
		first, second, third := holding(), holding(), holding()
		if !first.grow(6*unit) || !second.grow(4*unit) || hungUp != 0 {
			t.Fatal("there is memory for two")
		}
		if first.grow(8 * unit) {
			t.Error("the oldest took memory of another")
		}
		if !second.grow(6*unit) || hungUp != 1 || !first.gone || first.grow(1) {
			t.Error("the oldest did not go")
		}
		if _, err := first.readAll(strings.NewReader("{}"), 2); !errors.Is(err, errNoMemory) {
			t.Errorf("it was read nevertheless: %v", err)
		}
		if _, err := second.readAll(strings.NewReader("{}"), 2); err != nil { // it is there now
			t.Error(err)
		}
		start := time.Now()
		if third.grow(8*unit) || time.Since(start) != turnWithin {
			t.Errorf("no memory for %s, want %s", time.Since(start), turnWithin)
		}
		got := make(chan bool)
		go func() { got <- third.grow(8 * unit) }()
		synctest.Wait()
		second.release()
		if !<-got || hungUp != 1 {
			t.Error("what was given back was not taken")
		}
		first.release()
		second.release()
		third.release()
		if b.left != all || b.reading.Len() != 0 {
			t.Errorf("%d bytes are left of %d, %d are read", b.left, all, b.reading.Len())
		}
	})
}
