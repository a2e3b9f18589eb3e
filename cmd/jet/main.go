// Command jet is the operator's tool: it runs playbooks, publishes events, and
// shows what happens on the bus.
package main

import (
	"os"

	"github.com/jet-bus/jet-bus/internal/cli"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func main() { os.Exit(proc.Main(cli.Main)) }
