package modules

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
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
	if _, err := c.checksum(ctx, &engine.Host{}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if reads != 3 {
		t.Errorf("%d reads, want 3", reads)
	}
}

func TestDiffsOfWhatIsNotShown(t *testing.T) {
	t.Parallel()
	h := &engine.Host{Diff: true}
	for name, tt := range map[string]struct{ before, after, want string }{
		"text":             {"a\n", "b\n", "a\n -> b\n"},
		"binary":           {"\xff", "\xfe\xfd", "(1 bytes, not shown)\n -> (2 bytes, not shown)\n"},
		"of the same size": {"\xff", "\xfe", "(as it was, not shown)\n -> (1 bytes, not shown)\n"},
		"empty":            {"", "", " -> "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := conn.Inspection{FileInfo: conn.FileInfo{Size: int64(len(tt.before))}, Content: []byte(tt.before)}
			diffs, err := textContent(tt.after).diffs(h, "/f", found)
			if err != nil || len(diffs) != 1 {
				t.Fatalf("%v, %v", diffs, err)
			}
			if got := diffs[0].Before + " -> " + diffs[0].After; got != tt.want {
				t.Errorf("content: got %q, want %q", got, tt.want)
			}
			e := edit{path: "/f", text: tt.after}
			diffs = e.diffs(h, tt.before)
			if got := diffs[0].Before + " -> " + diffs[0].After; got != tt.want {
				t.Errorf("edit: got %q, want %q", got, tt.want)
			}
		})
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
	if _, err := c.checksum(t.Context(), &engine.Host{}); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
