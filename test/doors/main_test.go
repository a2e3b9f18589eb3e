package doors

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needed skips a test that was not asked for.
func needed(t *testing.T) {
	t.Helper()
	if os.Getenv("JET_TEST") != "all" {
		t.Skip("set JET_TEST=all for the tests that kill jet-bus")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
