package files

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// MaxLinks is how many symbolic links are followed for one path.
	MaxLinks = 40
	// CleanupTime is how long removing what a failed operation left may take once
	// the caller's context is over.
	CleanupTime = 5 * time.Second
	// maxName is the longest file name that all usual file systems take.
	maxName = 255
)

// WriteFile implements [conn.Conn].
func (f *FS) WriteFile(ctx context.Context, name string, content io.Reader, a conn.Attr) error {
	err := check(ctx, name)
	if err == nil {
		var want Attr
		if want, err = f.resolve(ctx, a); err == nil {
			err = f.sys.Write(ctx, name, content, want)
		}
	}
	if err != nil {
		return fail("write", name, err)
	}
	return nil
}

// Copy implements [conn.Conn].
func (f *FS) Copy(ctx context.Context, from, to string, a conn.Attr) error {
	err := check(ctx, from, to)
	if err == nil {
		var want Attr
		if want, err = f.resolve(ctx, a); err == nil {
			err = f.sys.Copy(ctx, from, to, want)
		}
	}
	if err != nil {
		return fail("copy", from, fmt.Errorf("to %q: %w", to, err))
	}
	return nil
}

// Temporary returns a name beside target that nobody else picks.
func Temporary(target string) string {
	dir, base := path.Split(target)
	random := strings.ToLower(rand.Text()[:16])
	affixes := len(".") + len(".jet-") + len(random)
	return dir + "." + base[:min(len(base), maxName-affixes)] + ".jet-" + random
}
