package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// The network: jet-bus and the hosts are in the namespace of the run, each at an address of its own on
// its loopback; every runner is in a namespace of its own at the end of a cable.
const (
	busAddress = "10.77.0.1:4222"
	httpAddr   = "127.0.0.1:4280"
	sshPort    = 22
)

func hostAddress(i int) string       { return fmt.Sprintf("10.77.100.%d", i+1) }
func runnerAddress(i int) string     { return fmt.Sprintf("10.77.%d.2", i+1) }
func gatewayAddress(i int) string    { return fmt.Sprintf("10.77.%d.1", i+1) }
func cable(runner string) string     { return "v-" + runner }
func namespace(runner string) string { return "chaos-" + runner }

// makeNetwork makes addresses, namespaces and cables.
func makeNetwork(ctx context.Context, runners, hosts int) error {
	var script strings.Builder
	script.WriteString("link set lo up\naddr add 10.77.0.1/32 dev lo\n")
	for i := range hosts {
		fmt.Fprintf(&script, "addr add %s/32 dev lo\n", hostAddress(i))
	}
	for i := range runners {
		name := runnerName(i)
		fmt.Fprintf(&script, `
netns add %[1]s
link add %[2]s type veth peer name eth0 netns %[1]s
addr add %[3]s/30 dev %[2]s
link set %[2]s up
-n %[1]s link set lo up
-n %[1]s addr add %[4]s/30 dev eth0
-n %[1]s link set eth0 up
-n %[1]s route add default via %[3]s
`, namespace(name), cable(name), gatewayAddress(i), runnerAddress(i))
	}
	return ip(ctx, script.String())
}

// plug cuts a runner's cable, or heals it. Nothing is closed by that: the ends only hear nothing.
func plug(ctx context.Context, runner string, in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return ip(ctx, fmt.Sprintf("link set %s %s", cable(runner), state))
}

// ip runs the ip command with each line of script.
func ip(ctx context.Context, script string) error {
	for line := range strings.Lines(script) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput() //nolint:gosec // constant but for our names
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
