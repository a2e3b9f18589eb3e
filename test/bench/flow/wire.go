package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/jet-bus/jet-bus/events"
)

// wire posts events of one form over one connection that stays open. It costs next to nothing, so
// that what is measured is not the sender: a request is made once, and only its numbers change.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	hook    []byte // the digits of the hook's name in request
	id      []byte // the digits of the event's id in request
}

// The digits that are replaced in a request, of the same width as what they stand for.
const (
	hookDigits = "#0000"
	idDigits   = "#00000000000"
)

// dialWire connects to the webhooks at address. prefix begins the ids of its events.
func dialWire(ctx context.Context, address string, secret []byte, prefix string) (*wire, error) {
	e, err := ingestEvent(prefix + idDigits)
	if err != nil {
		return nil, err
	}
	body, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	request := fmt.Appendf(nil, "POST /hooks/flow-%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n"+
		"Content-Length: %d\r\n\r\n%s", hookDigits[1:], address, secret, events.MediaType, len(body), body)
	at := bytes.Index(request, []byte("/flow-")) + len("/flow-")
	id := bytes.Index(request, []byte(idDigits))
	if id < 0 {
		return nil, errors.New("make a request: the event's id is not in it")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to the webhooks: %w", err)
	}
	return &wire{
		conn: conn, in: bufio.NewReaderSize(conn, 1<<10), request: request,
		hook: request[at : at+len(hookDigits)-1], id: request[id : id+len(idDigits)],
	}, nil
}

// post sends event n to hook number n and waits until it is accepted.
func (w *wire) post(n int) error {
	digits(w.hook, n%hookCount)
	digits(w.id, n)
	if _, err := w.conn.Write(w.request); err != nil {
		return fmt.Errorf("post event %d: %w", n, err)
	}
	status, length := 0, -1
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read the answer to event %d: %w", n, err)
		}
		line = bytes.TrimSpace(line)
		name, value, _ := bytes.Cut(line, []byte(" "))
		switch {
		case first && len(value) >= 3:
			status, err = strconv.Atoi(string(value[:3]))
		case bytes.EqualFold(name, []byte("content-length:")):
			length, err = strconv.Atoi(string(value))
		}
		if err != nil {
			return fmt.Errorf("read the answer to event %d: %w", n, err)
		}
		if len(line) == 0 {
			break
		}
	}
	if length < 0 {
		return fmt.Errorf("read the answer to event %d: its length is not given", n)
	}
	if status == 202 {
		_, err := w.in.Discard(length)
		return err
	}
	why, err := io.ReadAll(io.LimitReader(w.in, int64(length)))
	return errors.Join(fmt.Errorf("event %d is not accepted: %d %s", n, status, bytes.TrimSpace(why)), err)
}

func (w *wire) close() error { return w.conn.Close() }

// digits writes n over field, with leading zeros.
func digits(field []byte, n int) {
	for i := len(field) - 1; i >= 0; i-- {
		field[i] = "0123456789"[n%10]
		n /= 10
	}
}
