// Command jet-runner claims jobs from a bus and runs their playbooks.
package main

import (
	"os"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/runner"
)

func main() { os.Exit(proc.Main(runner.Main)) }
