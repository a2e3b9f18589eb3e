package sftpfs

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// On a server that numbers its handles every guess is right, whatever is opened,
// closed and refused, as long as answers come before the next request.
func TestHandlesOfOpenSSH(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var h handles
		var free, used []uint32
		next := uint32(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0: // opened
				n := next
				if last := len(free) - 1; last >= 0 {
					n, free = free[last], free[:last]
				} else {
					next++
				}
				guess := h.guess()
				if guess != number(n) {
					t.Fatalf("guess %x, want %x", guess, number(n))
				}
				h.opened(guess, number(n))
				used = append(used, n)
			case 1: // refused
				h.opened(h.guess(), "")
			case 2: // closed
				if len(used) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(used)-1).Draw(t, "which")
				h.closed(number(used[i]))
				free = append(free, used[i])
				used = append(used[:i], used[i+1:]...)
			}
		}
	})
}

func TestHandlesOfOthers(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]string{
		"text": "1", "large numbers": "\xff\xff\xff\xf0", "long": "handle number one", "random": "\x00\x00\x31\x42",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h handles
			for range maxMisses {
				guess := h.guess()
				if guess == "" {
					t.Fatal("a server was given up too early")
				}
				h.opened(guess, given)
			}
			if guess := h.guess(); guess != "" {
				t.Errorf("guess %q after so many misses", guess)
			}
			h.opened("", given)
			h.closed(given)
		})
	}
}

// Requests that overtook each other spoil guesses, not for long.
func TestHandlesRecover(t *testing.T) {
	t.Parallel()
	var h handles
	first := h.guess()
	h.opened(first, number(0))
	a, b := h.guess(), h.guess()
	h.opened(b, number(1))
	h.opened(a, number(2))
	h.closed(number(1))
	h.closed(number(2))
	h.closed(number(0))
	for _, want := range []uint32{0, 2, 1, 3} {
		if guess := h.guess(); guess != number(want) {
			t.Errorf("guess %x, want %x", guess, number(want))
		}
	}
}
