package sftpfs

import (
	"encoding/binary"
	"slices"
)

// maxMisses is after how many wrong guesses a server that was never guessed right
// counts as one that cannot be guessed.
const maxMisses = 2

// handles guesses which handle a server will give out next. OpenSSH's server
// numbers its open files, takes the number that was freed last, or else the next
// higher one. Nothing but the reading of a file may depend on a guess, and only
// until the server has said which handle it gave out.
type handles struct {
	// free is the numbers that were in use before; the last one is taken first.
	free []uint32
	next uint32
	hits bool
	// misses is how often the guess was wrong.
	misses int
}

// guess is the handle that the next opening gives, if all goes well; empty when
// there is no telling.
func (h *handles) guess() string {
	if !h.hits && h.misses >= maxMisses {
		return ""
	}
	n := h.next
	if last := len(h.free) - 1; last >= 0 {
		n, h.free = h.free[last], h.free[:last]
	} else {
		h.next++
	}
	return string(binary.BigEndian.AppendUint32(nil, n))
}

// opened says what became of a guess: the handle that was given out, or none.
func (h *handles) opened(guess, handle string) {
	if guess == "" {
		return
	}
	if guess == handle {
		h.hits, h.misses = true, 0
		return
	}
	h.closed(guess)
	if handle == "" {
		return
	}
	h.misses++
	if n, ok := handleNumber(handle); ok {
		h.free = slices.DeleteFunc(h.free, func(m uint32) bool { return m == n })
		h.next = max(h.next, n+1)
	}
}

// closed says that a handle is free.
func (h *handles) closed(handle string) {
	if n, ok := handleNumber(handle); ok {
		h.free = append(slices.DeleteFunc(h.free, func(m uint32) bool { return m == n }), n)
	}
}

// handleNumber is the number in a handle. Numbers beyond what a server has open
// files for are no such numbers.
func handleNumber(handle string) (uint32, bool) {
	if len(handle) != 4 {
		return 0, false
	}
	n := binary.BigEndian.Uint32([]byte(handle))
	return n, n < 1<<16
}
