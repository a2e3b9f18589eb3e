package notify

import (
	"errors"
	"time"
)

// failure is an attempt that failed and about which more is known than that.
type failure struct {
	err error
	// final says that to try again is of no use; after is how long the target asks
	// to be left alone.
	final bool
	after time.Duration
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// final marks a failure that another attempt would end in as well.
func final(err error) error { return &failure{err: err, final: true} }

// later marks a failure that its target wants tried again after a time.
func later(err error, after time.Duration) error { return &failure{err: err, after: after} }

// known gives what is known of a failed attempt.
func known(err error) failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return *f
	}
	return failure{err: err}
}
