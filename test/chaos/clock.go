package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// clockVariable names the file with the offset of a process's wall clock. The binaries read it, see
// clock/syscall.go.txt.
const clockVariable = "JET_CHAOS_CLOCK"

//go:embed clock/runtime.go.txt
var clockRuntime string

//go:embed clock/syscall.go.txt
var clockSyscall string

// assembly is the function in the runtime that reads the clock on the machines where that is assembly,
// and what it is called here.
const (
	assembly        = "TEXT time·now<ABIInternal>(SB)"
	assemblyRenamed = "TEXT runtime·machine_now<ABIInternal>(SB)"
)

// build builds the commands with the clock that can be set off, and returns their directory. It is one
// for all runs, so that only the first builds the standard library anew.
func build(ctx context.Context, packages ...string) (string, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", errors.New("the clock of processes can be set off on Linux on amd64 only")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build the commands: %w", err)
	}
	dir := filepath.Join(cache, "jet-bus-chaos")
	overlay, err := writeOverlay(ctx, filepath.Join(dir, "overlay"))
	if err != nil {
		return "", fmt.Errorf("build the commands: %w", err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return "", fmt.Errorf("build the commands: %w", err)
	}
	args := append([]string{"build", "-overlay", overlay, "-o", bin + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own packages
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the commands: %w: %s", err, out)
	}
	return bin, nil
}

// writeOverlay writes the replaced files of the standard library, and the file that tells go build of
// them.
func writeOverlay(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the standard library: %w", err)
	}
	src := filepath.Join(strings.TrimSpace(string(out)), "src")
	read := filepath.Join(src, "runtime", "time_linux_amd64.s")
	text, err := os.ReadFile(read)
	if err != nil {
		return "", err
	}
	renamed := strings.Replace(string(text), assembly, assemblyRenamed, 1)
	if renamed == string(text) {
		return "", errors.New("this version of Go reads the clock in another way; see clock.go")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, f := range []struct{ name, of, text string }{
		{"time_linux_amd64.s", read, renamed},
		{"timeasm.go", filepath.Join(src, "runtime", "timeasm.go"), clockRuntime},
		{"chaos_clock.go", filepath.Join(src, "syscall", "chaos_clock.go"), clockSyscall},
	} {
		file := filepath.Join(dir, f.name)
		if err := os.WriteFile(file, []byte(f.text), 0o600); err != nil {
			return "", err
		}
		replace[f.of] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, list, 0o600)
}

// setClock sets the wall clock of the processes that have file for their clock off from the machine's.
// One that runs sees it at once.
func setClock(file string, offset time.Duration) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("set a clock: %w", err)
	}
	// Written in place: it is mapped.
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(offset)), 0) //nolint:gosec // two's complement
	return errors.Join(err, f.Close())
}
