package modules

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChecksumEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("stopped by the operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	reads := 0
	c := content{open: func() (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) {
			if reads++; reads == 3 {
				cancel(why)
			}
			return copy(p, "more"), nil
		})), nil
	}}
	if _, err := c.checksum(ctx); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if reads != 3 {
		t.Errorf("%d reads, want 3", reads)
	}
}

func TestChecksumReportsFaults(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk is broken")
	c := content{open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) {
			return 0, broken
		}))), nil
	}}
	if _, err := c.checksum(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
