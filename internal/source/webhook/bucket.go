package webhook

import (
	"sync"
	"time"
)

// bucket limits a rate: it holds up to burst tokens and gains perSecond of them
// each second. Only authenticated requests take tokens, so that a stranger
// cannot use up a sender's share.
type bucket struct {
	perSecond, burst float64

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

func newBucket(perSecond, burst float64) *bucket {
	return &bucket{perSecond: perSecond, burst: burst, tokens: burst, filled: time.Now()}
}

// take takes n tokens, or none and reports false if there are fewer. More than there
// can ever be are as many as there can be: it would never come to them otherwise.
func (b *bucket) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, int(b.burst))
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+now.Sub(b.filled).Seconds()*b.perSecond)
	b.filled = now
	if b.tokens < float64(n) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
