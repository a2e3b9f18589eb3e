package files

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody calls f without the rights of root, who reads everything.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is nobody's, and ends with the goroutine that does not give it back.
		runtime.LockOSThread()
		_, _ = unix.SetfsuidRetUid(nobody) // returns who it was, refused or not
		if is, err := unix.SetfsuidRetUid(-1); is != nobody {
			t.Errorf("a thread cannot be nobody's: it is %d, %v", is, err)
			return
		}
		f()
	}()
	<-done
}
