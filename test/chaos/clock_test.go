//go:build linux && amd64

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// clockProgram says, for each line it reads, its wall clock and how long it has run, in nanoseconds.
const clockProgram = `package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	start := time.Now()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(time.Now().UnixNano(), time.Since(start).Nanoseconds())
	}
}
`

// The wall clock of a program that is built for the runs is where its file says, at once and from its
// start; its monotonic clock is not touched.
func TestClock(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the standard library")
	}
	dir := t.TempDir()
	source, file := filepath.Join(dir, "clocktest.go"), filepath.Join(dir, "clock")
	if err := os.WriteFile(source, []byte(clockProgram), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, err := build(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	offset := 49*time.Hour + 999*time.Millisecond
	if err := setClock(file, offset); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "clocktest"))
	cmd.Env = append(os.Environ(), clockVariable+"="+file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, d := range []time.Duration{offset, 0, -offset, offset / 3} {
		if err := setClock(file, d); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		var wall, ran int64
		before := time.Now()
		if !lines.Scan() {
			t.Fatalf("it says nothing: %v", lines.Err())
		}
		if _, err := fmt.Sscan(lines.Text(), &wall, &ran); err != nil {
			t.Fatal(err)
		}
		off := time.Unix(0, wall).Sub(before.Round(0)) - d
		if off.Abs() > 5*time.Second || ran < 0 || time.Duration(ran) > time.Since(began) {
			t.Errorf("with an offset of %s it is %s off that, and has run for %s", d, off, time.Duration(ran))
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}
