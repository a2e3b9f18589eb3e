//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	_, _ = fmt.Fprintln(os.Stderr, "s10: the benchmark needs Linux: it makes its hosts of namespaces")
	os.Exit(1)
}
