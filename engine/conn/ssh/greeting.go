package ssh

import (
	"bytes"
	"fmt"
	"net"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxGreeting bounds what is kept of a server's first words.
const maxGreeting = 512

// greeting is a connection that keeps the server's first words, to tell one that
// does not speak SSH from one that ends the handshake.
type greeting struct {
	net.Conn

	mu    sync.Mutex
	words []byte
}

// Read implements [net.Conn].
func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.mu.Lock()
	defer g.mu.Unlock()
	if room := maxGreeting - len(g.words); room > 0 {
		g.words = append(g.words, p[:min(n, room)]...)
	}
	return n, err
}

// foreign explains the error of a handshake with a server that has not named its
// version of SSH, and returns nil for one that has.
func (g *greeting) foreign(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if bytes.HasPrefix(g.words, []byte("SSH-")) || bytes.Contains(g.words, []byte("\nSSH-")) {
		return nil
	}
	line, _, _ := bytes.Cut(g.words, []byte("\n"))
	if len(line) == 0 {
		return fmt.Errorf("%w: the server does not speak SSH: %w", conn.ErrUnreachable, err)
	}
	return fmt.Errorf("%w: the server does not speak SSH, it says %q", conn.ErrUnreachable, bytes.TrimSpace(line))
}

// silent reports whether the server has said nothing at all: one that has too
// many connections at the moment hangs up.
func (g *greeting) silent() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.words) == 0
}
