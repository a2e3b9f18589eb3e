//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	_, _ = fmt.Fprintln(os.Stderr, "powercut: it needs Linux, to shut down a file system")
	os.Exit(1)
}
