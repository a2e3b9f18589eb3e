package cli

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// The scripts run jet, and the jet-bus that it may call, as processes of their own,
// which are this test binary.
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"jet":     func() { os.Exit(proc.Main(Main)) },
		"jet-bus": func() { os.Exit(proc.Main(busd.Main)) },
	})
}

// orphan is a goroutine that the client's object store may leave behind after a
// Put: it waits on a channel that was set to nil before it looked.
const orphan = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

// leakless fails a run that leaves goroutines behind.
type leakless struct{ *testing.M }

func (l leakless) Run() int {
	code := l.M.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreAnyFunction(orphan)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}
