package sftpfs

import (
	"bytes"
	"io"
	"testing"
)

// What the kernel makes as it is read says that it is empty, and comes a page at a
// time: the answers from further on are empty before all is read.
func TestReadProc(t *testing.T) {
	t.Parallel()
	s, session := over(t, direct(openssh(t)))
	r, err := s.Open(t.Context(), "/proc/self/smaps") // the server's own
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("[stack]")) {
		t.Errorf("%d bytes were read, without what comes last", len(got))
	}
	_ = r.Close()
	_ = session.Close()
}
