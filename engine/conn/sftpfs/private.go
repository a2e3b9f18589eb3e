package sftpfs

import (
	"encoding/binary"
	"io"
)

// The SFTP packets that make something new, and the flag that says that
// permissions follow (draft-ietf-secsh-filexfer-02, sections 5 and 6).
const (
	packetOpen  = 3
	packetMkdir = 14
	hasMode     = 0x4
	headerSize  = 5 // length and type

	fileMode = 0o600
	dirMode  = 0o700
)

// private returns a writer for a client's packets that asks for new files and
// directories to be private from their first moment. The library sends these
// packets with no attributes, so that the server's umask would decide, and a
// later chmod leaves a moment for others to open what will hold a secret.
func private(w io.WriteCloser) io.WriteCloser { return &privateWriter{WriteCloser: w} }

type privateWriter struct {
	io.WriteCloser
	// rest is how much of the current packet is still to come.
	rest int
}

// Write relies on the library to begin every packet with a Write of its own, and
// to pass packets without bulk data whole.
func (w *privateWriter) Write(p []byte) (int, error) {
	if w.rest > 0 || len(p) < headerSize {
		w.rest = max(0, w.rest-len(p))
		return w.WriteCloser.Write(p)
	}
	size := int(binary.BigEndian.Uint32(p))
	w.rest = max(0, size+4-len(p))
	var mode uint32
	switch p[4] {
	case packetOpen:
		mode = fileMode
	case packetMkdir:
		mode = dirMode
	}
	// Both packets end with the flags of their attributes.
	if mode == 0 || w.rest > 0 || binary.BigEndian.Uint32(p[len(p)-4:]) != 0 {
		return w.WriteCloser.Write(p)
	}
	q := make([]byte, 0, len(p)+4)
	q = binary.BigEndian.AppendUint32(q, uint32(size+4)) //nolint:gosec // a packet read from a 32-bit length
	q = append(q, p[4:len(p)-4]...)
	q = binary.BigEndian.AppendUint32(q, hasMode)
	q = binary.BigEndian.AppendUint32(q, mode)
	if _, err := w.WriteCloser.Write(q); err != nil {
		return 0, err
	}
	return len(p), nil
}
