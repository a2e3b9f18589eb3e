//go:build unix

package inventory

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup starts a program in a process group of its own, and has all of it
// killed when the program's context ends: what it started goes with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
