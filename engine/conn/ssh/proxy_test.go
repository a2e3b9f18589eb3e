package ssh_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy passes one connection on until it is frozen: then it stays open and
// nothing comes through.
type proxy struct {
	port   int
	frozen chan struct{}

	mu   sync.Mutex
	open []net.Conn
}

// cut closes the connection on both sides, without a word of SSH.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) freeze() { close(p.frozen) }

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{port: l.Addr().(*net.TCPAddr).Port, frozen: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
		if err != nil {
			t.Error(err)
			_ = in.Close()
			return
		}
		p.mu.Lock()
		p.open = append(p.open, in, out)
		p.mu.Unlock()
		wg.Go(func() { p.pass(out, in) })
		p.pass(in, out)
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) pass(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.frozen:
			// Swallow what still comes, until the connection is closed.
			_, _ = io.Copy(io.Discard, from)
			return
		default:
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
