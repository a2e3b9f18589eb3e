package sftpfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// statusError is a failure for which the protocol has no code of its own.
type statusError struct {
	code    uint32
	message string
}

// maxMessage is how much of a server's message is passed on.
const maxMessage = 200

func (e *statusError) Error() string {
	said := e.message[:min(len(e.message), maxMessage)]
	if said == "" {
		return fmt.Sprintf("the host answers with code %d", e.code)
	}
	return fmt.Sprintf("the host says %q", said)
}

// err gives an answer's status the meaning that callers ask for.
func (a answer) err() error {
	switch a.status {
	case statusOK:
		return nil
	case statusEOF:
		return io.EOF
	case statusMissing:
		return fs.ErrNotExist
	case statusPermission:
		return fs.ErrPermission
	case statusNoConn, statusLost:
		return errEnded
	case statusUnsupported:
		return fmt.Errorf("the host's SFTP server has no such request: %w", errors.ErrUnsupported)
	}
	return &statusError{a.status, a.message}
}

// failure reports whether err is the code for most failures, whatever the reason.
func failure(err error) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == statusFailure
}

// errEnded is what everything ends with once the session is over.
var errEnded = fmt.Errorf("the sftp session ended: %w", conn.ErrUnreachable)
