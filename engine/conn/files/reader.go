package files

import (
	"context"
	"errors"
	"io"
)

// errCutOff is what content that ends too early fails with. Whoever reads in
// blocks would take io.ErrUnexpectedEOF for the end of the content.
var errCutOff = errors.New("the content ended before all of it had arrived")

// Reader returns r, failing with the context's cause once it has ended, and never
// with io.ErrUnexpectedEOF.
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
	n, err := r.r.Read(p)
	if err != nil && r.ended() != nil {
		// What looks like the end of the content may be that of the context.
		err = r.cause()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutOff
	}
	return n, err
}
