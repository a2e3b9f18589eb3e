package modules

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestVerified(t *testing.T) {
	t.Parallel()
	sum, err := parseChecksum("sha256:" + strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sum  checksum
		from io.Reader
		want error
	}{
		"anything":   {nil, strings.NewReader("x"), nil},
		"other":      {sum, strings.NewReader("x"), errChecksum},
		"cut off":    {nil, iotest.ErrReader(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF},
		"one by one": {sum, iotest.OneByteReader(strings.NewReader("xyz")), errChecksum},
	} {
		_, err := io.ReadAll(c.sum.verified(c.from))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
