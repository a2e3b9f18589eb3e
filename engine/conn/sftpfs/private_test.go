package sftpfs

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type nopCloser struct{ *bytes.Buffer }

func (nopCloser) Close() error { return nil }

// packet frames a body of the given type.
func packet(kind byte, body ...[]byte) []byte {
	all := append([]byte{kind}, bytes.Join(body, nil)...)
	return append(number(len(all)), all...)
}

func number(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func text(s string) []byte { return append(number(len(s)), s...) }

func TestPrivate(t *testing.T) {
	t.Parallel()
	open := packet(3, number(7), text("/x"), number(0x2a), number(0))
	mkdir := packet(14, number(8), text("/d"), number(0))
	stat := packet(17, number(9), text("/x"))
	explicit := packet(14, number(8), text("/d"), number(4), number(0o755))
	// A write whose data looks like a packet of its own.
	write := packet(6, number(10), text("h"), number(0), number(0), text(string(open)))
	head := write[:len(write)-len(open)]

	for name, test := range map[string]struct{ writes, want [][]byte }{
		"open":           {[][]byte{open}, [][]byte{packet(3, number(7), text("/x"), number(0x2a), number(4), number(0o600))}},
		"mkdir":          {[][]byte{mkdir}, [][]byte{packet(14, number(8), text("/d"), number(4), number(0o700))}},
		"other":          {[][]byte{stat}, [][]byte{stat}},
		"explicit mode":  {[][]byte{explicit}, [][]byte{explicit}},
		"data":           {[][]byte{head, open, stat}, [][]byte{write, stat}},
		"data in pieces": {[][]byte{head, open[:9], open[9:], mkdir}, [][]byte{write, packet(14, number(8), text("/d"), number(4), number(0o700))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			w := private(nopCloser{&out})
			for _, p := range test.writes {
				if n, err := w.Write(p); err != nil || n != len(p) {
					t.Errorf("wrote %d of %d bytes, error %v", n, len(p), err)
				}
			}
			if diff := cmp.Diff(bytes.Join(test.want, nil), out.Bytes()); diff != "" {
				t.Errorf("packets (-want +got):\n%s", diff)
			}
		})
	}
}
