//go:build unix

package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProgramIsKilledWithItsChildren has a program wait for a child that never
// ends by itself and holds the output open.
func TestProgramIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	dir := tree(t, "-- i.sh --\n#!/bin/sh\nsleep 600 &\necho $! > \"$0.child\"\necho > \"$0.ready\"\nwait\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	program := filepath.Join(dir, "i.sh")
	done := make(chan error, 1)
	go func() {
		_, err := Load(ctx, program)
		done <- err
	}()
	wait := time.NewTicker(5 * time.Millisecond)
	defer wait.Stop()
	for {
		if _, err := os.Stat(program + ".ready"); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("Load ended: %v", err)
		case <-wait.C:
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	text, err := os.ReadFile(program + ".child")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if !runs(pid) {
			return
		}
		<-wait.C
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("the child %d still runs", pid)
}

// runs reports whether a process is there and more than a zombie.
func runs(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, after, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(after, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}
