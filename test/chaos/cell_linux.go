package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The parts of the program that are processes of their own: the first process of the namespaces, and
// the one that makes the run.
const (
	partCell = "cell"
	partRun  = "run"
)

// enterCell makes the run in namespaces of its own. Their first process dies with this one, and with it
// everything in them: processes, mounts and the loop device below, network.
func enterCell(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// Pdeathsig is sent when the thread ends that has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(self, partCell, dir) //nolint:gosec,noctx // this program; ended in order, below
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    true, // what the keyboard sends comes once, by us
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGTERM) })()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return errBroken
	}
	return err
}

// cell is the first process: it prepares the mounts, starts the run, hands on the request to stop, and
// buries the orphans. It returns the run's exit code.
func cell(dir string) int {
	fail := func(what string, err error) int {
		_, _ = fmt.Fprintf(os.Stderr, "chaos: %s: %v\n", what, err)
		return 1
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail("make mounts private", err)
	}
	for target, fs := range map[string]string{"/proc": "proc", "/run": "tmpfs"} {
		if err := unix.Mount(fs, target, fs, 0, ""); err != nil {
			return fail("mount "+target, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fail("find this program", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	run, err := os.StartProcess(self, []string{self, partRun, dir}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return fail("start the run", err)
	}
	go func() {
		for s := range signals {
			_ = run.Signal(s)
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fail("wait for the run", err)
		case pid == run.Pid && status.Exited():
			return status.ExitStatus()
		case pid == run.Pid:
			return fail("the run ended", errors.New(status.Signal().String()))
		}
	}
}
