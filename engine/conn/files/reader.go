package files

import (
	"context"
	"io"
)

// Reader returns r, failing with the context's cause once it has ended.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx.Err, cause(ctx), r} }

// reader keeps two methods of a context, not the context.
type reader struct {
	ended func() error
	cause func() error
	r     io.Reader
}

func cause(ctx context.Context) func() error { return func() error { return context.Cause(ctx) } }

func (r reader) Read(p []byte) (int, error) {
	if r.ended() != nil {
		return 0, r.cause()
	}
	return r.r.Read(p)
}
