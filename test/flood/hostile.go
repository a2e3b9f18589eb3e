package flood

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// byteEvery is how often a slow sender sends a byte.
	byteEvery = time.Second
	// giantEvery is how often a sender of giant bodies begins one.
	giantEvery = 2 * time.Second
	// giantBody is the size of one.
	giantBody = 25 << 20
	// stalls is how much of one a sender sends that then sends no more.
	stalls = 20 << 20
)

// hostile is the senders who mean harm. It is safe for concurrent use.
type hostile struct {
	address string
	faults  *faults

	slow, hungUp, giants, refused, cut atomic.Int64
}

// run has all of them at work until ctx ends.
func (h *hostile) run(ctx context.Context, s Settings) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range s.Slow {
		wg.Go(func() { h.repeat(ctx, byteEvery, func(ctx context.Context) { h.sendSlowly(ctx, i) }) })
	}
	for i := range s.Giant {
		wg.Go(func() { h.repeat(ctx, giantEvery, func(ctx context.Context) { h.sendGiant(ctx, i) }) })
	}
}

// repeat does it again and again, until ctx ends, at most once in every.
func (h *hostile) repeat(ctx context.Context, every time.Duration, do func(context.Context)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		do(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// dial connects. The connection ends with ctx.
func (h *hostile) dial(ctx context.Context) (net.Conn, func()) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return nil, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() {
		stop()
		_ = conn.Close()
	}
}

// sendSlowly begins a request and does not come to its end: of its headers or of its body, in turns.
func (h *hostile) sendSlowly(ctx context.Context, i int) {
	conn, done := h.dial(ctx)
	if conn == nil {
		return
	}
	defer done()
	h.slow.Add(1)
	begin := "POST /hooks/app HTTP/1.1\r\nHost: jet-bus\r\nX-Slow: "
	if i%2 == 0 {
		begin = "POST /hooks/app HTTP/1.1\r\nHost: jet-bus\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{"
	}
	_, err := io.WriteString(conn, begin)
	tick := time.NewTicker(byteEvery)
	defer tick.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, err = io.WriteString(conn, " ")
		}
	}
	if ctx.Err() == nil {
		h.hungUp.Add(1)
	}
}

// sendGiant sends a body that nobody signed and that is as large as can be, or larger, in one of several ways.
func (h *hostile) sendGiant(ctx context.Context, i int) {
	conn, done := h.dial(ctx)
	if conn == nil {
		return
	}
	defer done()
	h.giants.Add(1)
	var err error
	switch i % 4 {
	case 0: // announced, and refused unread
		err = announce(conn, "app", giantBody, giantBody)
	case 1: // as large as it may be
		err = announce(conn, "big", giantBody, giantBody)
	case 2: // in chunks, without an end in sight
		err = sendChunks(conn, giantBody+1<<20)
	case 3: // and then silent, until jet-bus has enough of it
		err = announce(conn, "big", giantBody, stalls)
	}
	if err != nil {
		h.cut.Add(1) // jet-bus may hang up as soon as it knows what it is
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if ctx.Err() == nil {
			h.cut.Add(1)
		}
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 400 {
		h.faults.add("a giant body was answered with %s", resp.Status)
		return
	}
	h.refused.Add(1)
}

// announce sends the first bytes of a body that is announced to have size.
func announce(w io.Writer, hook string, size, first int64) error {
	if _, err := fmt.Fprintf(w, "POST /hooks/%s HTTP/1.1\r\nHost: jet-bus\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"+
		"X-GitHub-Delivery: %sgiant\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: %d\r\n\r\n", hook, unsaid, size); err != nil {
		return err
	}
	_, err := io.CopyN(w, zeros{}, first)
	return err
}

// sendChunks sends size bytes in chunks, without saying how many come.
func sendChunks(w io.Writer, size int) error {
	const chunk = 32 << 10
	if _, err := io.WriteString(w, "POST /hooks/big HTTP/1.1\r\nHost: jet-bus\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
		return err
	}
	data := fmt.Appendf(nil, "%x\r\n", chunk)
	data = append(append(data, make([]byte, chunk)...), '\r', '\n')
	for range size / chunk {
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

func (h *hostile) counts() Hostile {
	return Hostile{
		Slow: h.slow.Load(), HungUp: h.hungUp.Load(), Giants: h.giants.Load(), Refused: h.refused.Load(), Cut: h.cut.Load(),
	}
}
