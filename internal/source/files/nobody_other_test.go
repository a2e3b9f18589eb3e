//go:build !linux

package files

import (
	"os"
	"testing"
)

// asNobody calls f without the rights of root, who reads everything.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything, and only Linux lets a thread be somebody else")
	}
	f()
}
