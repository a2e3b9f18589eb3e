package ssh

import (
	"net"

	"golang.org/x/sys/unix"
)

// quickAck returns c, acknowledging what it reads without delay. Linux delays
// acknowledgements by 40 ms, and a host's Nagle algorithm waits for them: every
// new connection stalls once after login. The kernel falls back to delaying by
// itself, hence the call after every read.
func quickAck(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	return quickAckConn{tcp}
}

type quickAckConn struct{ *net.TCPConn }

// Read implements [net.Conn].
func (c quickAckConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if err != nil {
		return n, err
	}
	if raw, rerr := c.SyscallConn(); rerr == nil {
		// A kernel that refuses costs time, not correctness.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
		})
	}
	return n, nil
}
