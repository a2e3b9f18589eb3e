package runner

import (
	"testing"

	"go.uber.org/goleak"
)

// orphan is a goroutine that the client's object store may leave behind after a
// Put: it waits on a channel that was set to nil before it looked.
const orphan = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(orphan)) }
