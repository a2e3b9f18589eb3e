package modules

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// replacement is content that takes the place of a file's, with the care that was
// asked for.
type replacement struct {
	content
	dest     filePath
	attrs    attributes
	validate validation
	backup   bool
}

// apply carries out the plan that the content's query made.
func (r replacement) apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if p.Need == engine.Modify && p.Fields[0] != fieldContent {
		return engine.Result{}, r.content.apply(ctx, h, r.dest, r.attrs, p)
	}
	from, err := r.open()
	if err != nil {
		return engine.Result{}, err
	}
	defer func() { _ = from.Close() }()
	body := untilDone(ctx, from)
	if r.validate != "" {
		return r.tryOut(ctx, h.Conn, body)
	}
	res, err := r.keepOld(ctx, h.Conn)
	if err != nil {
		return res, err
	}
	return res, writeFile(ctx, h.Conn, string(r.dest), body, r.attrs)
}

// keepOld makes the backup, if one is asked for and there is something to keep.
func (r replacement) keepOld(ctx context.Context, c conn.Conn) (engine.Result, error) {
	if !r.backup {
		return engine.Result{}, nil
	}
	old, err := c.Stat(ctx, string(r.dest))
	if errors.Is(err, fs.ErrNotExist) {
		return engine.Result{}, nil
	}
	if err != nil {
		return engine.Result{}, err
	}
	kept, err := backUp(ctx, c, string(r.dest), old)
	if err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Data: map[string]any{"backup": kept}}, nil
}

// tryOut writes the content beside the old file, which it replaces once the
// command line finds it good.
func (r replacement) tryOut(ctx context.Context, c conn.Conn, body io.Reader) (res engine.Result, err error) {
	dest, old, err := followLinks(ctx, c, string(r.dest))
	if err != nil {
		return res, err
	}
	// Tools may go by the end of a name.
	dir, base := path.Split(dest)
	tmp := dir + ".jet-" + strings.ToLower(rand.Text()[:16]) + "." + base[max(0, len(base)-200):]
	if err := c.WriteFile(ctx, tmp, body, r.attrs.over(old)); err != nil {
		return res, whyNotWritten(ctx, c, dest, err)
	}
	if err = r.validate.check(ctx, c, tmp); err == nil {
		if res, err = r.keepOld(ctx, c); err == nil {
			err = c.Rename(ctx, tmp, dest)
		}
	}
	if err == nil {
		return res, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if rerr := c.RemoveAll(ctx, tmp); rerr != nil {
		err = fmt.Errorf("%w (and the new content is still at %s: %w)", err, tmp, rerr)
	}
	return res, err
}
