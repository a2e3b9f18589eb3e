package queue

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// maxKnown bounds the locks that are remembered.
const maxKnown = 4096

// knownLocks remembers the locks of jobs that have ended: they are free, and the next
// job can take one without reading it. Should another have been faster, the bus
// refuses. A worker remembers those of its own jobs, the scheduler those of all. The
// zero value remembers none; it is safe for concurrent use.
type knownLocks struct {
	mu   sync.Mutex
	revs map[string]uint64 // by subject
}

// use returns the revision at which a lock was free, once.
func (k *knownLocks) use(subject string) (rev uint64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rev, ok = k.revs[subject]
	delete(k.revs, subject)
	return rev, ok
}

// free takes note of locks whose job has ended, at the revisions that it took.
func (k *knownLocks) free(locks []heldLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revs == nil || len(k.revs)+len(locks) > maxKnown {
		k.revs = make(map[string]uint64, len(locks))
	}
	for _, l := range locks {
		k.revs[l.subject] = max(k.revs[l.subject], l.rev)
	}
}

// heldLock is a lock that a job took with its claim.
type heldLock struct {
	subject string
	rev     uint64
}

// heldLocks returns what became of the messages that take locks, of which the first
// was stored at seq and the others right after it.
func heldLocks(locks []*nats.Msg, seq uint64) []heldLock {
	held := make([]heldLock, len(locks))
	for i, m := range locks {
		held[i] = heldLock{m.Subject, seq + uint64(i)}
	}
	return held
}
