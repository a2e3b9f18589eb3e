package launch

import (
	"bytes"
	"fmt"
)

// edge is how far a cut is moved to the end of a line: a secret that it divided
// would be recognised, and hidden, in neither half.
const edge = 64 << 10

// keeper collects output: all of it, or, with a limit, the first half of that and
// the last.
type keeper struct {
	limit int
	total int64
	head  bytes.Buffer
	// tail holds the last bytes after the head. Once it is full it is a ring whose
	// oldest byte is at oldest.
	tail   []byte
	oldest int
}

func (k *keeper) write(p []byte) {
	k.total += int64(len(p))
	if k.limit <= 0 {
		k.head.Write(p)
		return
	}
	n := min(len(p), max(0, k.limit-k.limit/2-k.head.Len()))
	k.head.Write(p[:n])
	p = p[n:]
	half := k.limit / 2
	if len(p) >= half {
		k.tail, k.oldest = append(k.tail[:0], p[len(p)-half:]...), 0
		return
	}
	n = min(len(p), half-len(k.tail))
	k.tail = append(k.tail, p[:n]...)
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = copy(k.tail[k.oldest:], p)
		k.oldest = (k.oldest + n) % half
	}
}

// bytes returns what was kept, with a line in the place of what was not.
func (k *keeper) bytes() []byte {
	if len(k.tail) == 0 && k.total == int64(k.head.Len()) {
		return k.head.Bytes()
	}
	head := k.head.Bytes()
	tail := append(append(make([]byte, 0, len(k.tail)), k.tail[k.oldest:]...), k.tail[:k.oldest]...)
	if k.total == int64(len(head)+len(tail)) {
		return append(head, tail...)
	}
	if i := bytes.LastIndexByte(head, '\n') + 1; i > 0 && len(head)-i < edge {
		head = head[:i]
	}
	if i := bytes.IndexByte(tail, '\n') + 1; i > 0 && i < edge {
		tail = tail[i:]
	}
	line := fmt.Sprintf("[… %d bytes were not kept …]\n", k.total-int64(len(head)+len(tail)))
	if !bytes.HasSuffix(head, []byte("\n")) {
		line = "\n" + line
	}
	return append(append(head, line...), tail...)
}
