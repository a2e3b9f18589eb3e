package outbound

import (
	"errors"
	"time"
)

// FailureError is an attempt that failed and about which more is known than that.
type FailureError struct {
	Err error
	// Final says that to try again is of no use; After is how long the other side asks
	// to be left alone, zero if it does not.
	Final bool
	After time.Duration
}

func (f *FailureError) Error() string { return f.Err.Error() }

// Unwrap returns what went wrong.
func (f *FailureError) Unwrap() error { return f.Err }

// Final marks a failure that another attempt would end in as well.
func Final(err error) error { return &FailureError{Err: err, Final: true} }

// Later marks a failure that the other side wants tried again after a time.
func Later(err error, after time.Duration) error { return &FailureError{Err: err, After: after} }

// Known gives what is known of a failed attempt.
func Known(err error) FailureError {
	if f, ok := errors.AsType[*FailureError](err); ok {
		return *f
	}
	return FailureError{Err: err}
}
