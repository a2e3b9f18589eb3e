//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	_, _ = fmt.Fprintln(os.Stderr, "chaos: it needs Linux: its parts live in namespaces")
	os.Exit(1)
}
