package busd

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// orphan is a goroutine that the client's object store may leave behind after a
// Put: it waits on a channel that was set to nil before it looked.
const orphan = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

// TestMain gives the tests a temporary directory of their own, so that they see
// what is left in it.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "busd-test-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(orphan), goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
