package modules

import (
	"sync"
	"testing"

	"github.com/jet-bus/jet-bus/test/lab"
)

// poolSize is how many hosts of a kind serve cases at once. Those with a container
// engine share it.
func poolSize(kind Kind) int {
	if kind == Engine {
		return 1
	}
	return 3
}

// pool lends the hosts of a test to its subtests. Hosts are started when they are
// needed, and live as long as the test.
type pool struct {
	t     *testing.T
	mu    sync.Mutex
	kinds map[Kind]*shelf
}

// shelf is the hosts of one kind.
type shelf struct {
	mu      sync.Mutex
	size    int
	started int
	free    chan lab.Host
}

func newPool(t *testing.T) *pool {
	t.Helper()
	return &pool{t: t, kinds: map[Kind]*shelf{}}
}

// borrow returns a host that is the subtest's until it ends.
func (p *pool) borrow(t *testing.T, kind Kind) lab.Host {
	t.Helper()
	p.mu.Lock()
	s := p.kinds[kind]
	if s == nil {
		s = &shelf{size: poolSize(kind), free: make(chan lab.Host, poolSize(kind))}
		p.kinds[kind] = s
	}
	p.mu.Unlock()
	h := s.take(func() lab.Host { return host(p.t, kind) })
	t.Cleanup(func() { s.free <- h })
	return h
}

// take returns a free host, or a new one where there may be one more.
func (s *shelf) take(start func() lab.Host) lab.Host {
	s.mu.Lock()
	if len(s.free) == 0 && s.started < s.size {
		s.started++
		s.mu.Unlock()
		return start()
	}
	s.mu.Unlock()
	return <-s.free
}
