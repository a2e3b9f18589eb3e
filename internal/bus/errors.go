package bus

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The outcomes a caller may branch on, found with errors.Is.
var (
	// ErrNotFound says that no stored message matches.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that an expected sequence was not the subject's last
	// one: somebody else wrote first. Nothing was stored.
	ErrConflict = errors.New("written by somebody else meanwhile")
	// ErrFull says that the stream has reached its limits and refuses more.
	// Nothing was stored.
	ErrFull = errors.New("stream is full")
	// ErrTooLarge says that a message, or the number of messages in a batch,
	// is above what the bus takes. Nothing was stored.
	ErrTooLarge = errors.New("too large for the bus")
	// ErrDuplicate says that a batch holds a message id that is stored
	// already. Nothing of the batch was stored.
	ErrDuplicate = errors.New("message id is stored already")
	// ErrUnknownOutcome says that no answer came: the write may have happened
	// or not. Read back before deciding; retry only what is idempotent.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrUnavailable says that the bus could not be reached or is not ready.
	// Nothing was stored, trying again is safe.
	ErrUnavailable = errors.New("bus is unavailable")
	// ErrDenied says that the role of this connection does not permit it.
	ErrDenied = errors.New("not permitted by this role")
	// ErrRewound says that a stream ends before a message already seen: its
	// store was lost or replaced, and sequences are being given out again.
	ErrRewound = errors.New("stream is behind what was seen of it")
)

// The server's error codes that mean something to callers.
const (
	codeNotFound         = 10037
	codeMessageTooLarge  = 10054
	codeStreamNotFound   = 10059
	codeWrongLast        = 10071
	codeStoreFailed      = 10077
	codeInsufficient     = 10023
	codeMemoryExceeded   = 10028
	codeStorageExceeded  = 10047
	codeAccountExceeded  = 10002
	codeDuplicateInWork  = 10158
	codeWrongLastPlain   = 10164
	codeBatchIncomplete  = 10176
	codeBatchTooLarge    = 10199
	codeBatchDuplicate   = 10201
	codeBatchTooManyOpen = 10210
	codeNotLeader        = 10009
	codeUnavailable      = 10008
)

// apiError is an error the server answered with.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode)
}

// As makes it the error that the client would have made of the same answer.
func (e *apiError) As(target any) bool {
	t, ok := target.(**jetstream.APIError)
	if ok {
		*t = &jetstream.APIError{Code: e.Code, ErrorCode: jetstream.ErrorCode(e.ErrCode), Description: e.Description} //nolint:gosec // five digits
	}
	return ok
}

// Unwrap gives the outcome that the code stands for, if it has one.
func (e *apiError) Unwrap() error {
	switch e.ErrCode {
	case codeNotFound:
		return ErrNotFound
	case codeWrongLast, codeWrongLastPlain:
		return ErrConflict
	case codeStoreFailed:
		return e.storeFailure()
	case codeInsufficient, codeMemoryExceeded, codeStorageExceeded, codeAccountExceeded:
		return ErrFull
	case codeMessageTooLarge, codeBatchTooLarge:
		return ErrTooLarge
	case codeBatchDuplicate:
		return ErrDuplicate
	case codeDuplicateInWork, codeBatchIncomplete, codeBatchTooManyOpen, codeNotLeader, codeUnavailable:
		return ErrUnavailable
	}
	return nil
}

// storeFailure tells apart what the server reports under one code. Its own
// words are all there is to go by; a failing disk leaves the outcome open.
func (e *apiError) storeFailure() error {
	switch {
	case strings.HasPrefix(e.Description, "maximum "):
		return ErrFull
	case strings.Contains(e.Description, "too large"):
		return ErrTooLarge
	}
	return ErrUnknownOutcome
}

// unreachable tells errors that prove a message never left, or met no stream.
func unreachable(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, nats.ErrConnectionDraining)
}
