// Command jet-bus is the bus: it takes in events, asks the rules, and makes jobs.
package main

import (
	"os"

	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func main() { os.Exit(proc.Main(busd.Main)) }
