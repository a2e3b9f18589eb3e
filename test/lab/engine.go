package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Image is an image of target hosts.
type Image string

const (
	// Debian is Debian 12 under systemd. test/lab/image/build makes it.
	Debian Image = "jet-bus-lab/debian12:latest"
	// Packages is the same with the package managers of several systems, each with a repository of
	// its own, and with OpenRC. test/lab/image-packages/build makes it.
	Packages Image = "jet-bus-lab/packages:latest"
)

// docker runs the engine's client and returns its standard output. An error carries what the client
// wrote to standard error.
func docker(ctx context.Context, args ...string) (string, error) {
	return dockerInput(ctx, nil, args...)
}

func dockerInput(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...) //nolint:gosec // the suites choose the arguments
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// runArgs are the options under which systemd works as a container's first process. They name two
// capabilities where --privileged would do as well on most machines: some machines cannot give it.
func runArgs() []string {
	args := []string{
		"--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN",
		"--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined",
		"--tmpfs", "/run", "--tmpfs", "/run/lock",
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil { // cgroup v2 alone
		return append(args, "--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw")
	}
	return append(args, "--volume", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd:rw")
}
