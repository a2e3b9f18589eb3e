package lab

import (
	"context"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// socket is where the container engine of this machine listens.
	socket = "/var/run/docker.sock"
	// AppImage is an image that an [EngineHost] has; it is that of the hosts.
	AppImage = "registry.example.com/app:1.0"
	// madeHere marks containers that were made by way of an EngineHost.
	madeHere = "dev.jet-bus.container"
)

// engineHosts counts the hosts that are there.
var engineHosts atomic.Int64

// EngineHost starts a host on which the docker command works: it reaches the engine of this
// machine. Directories that containers mount are therefore this machine's; and containers that
// the module container made are removed with the last such host.
func EngineHost(tb testing.TB) Host {
	tb.Helper()
	if !Required() {
		return start(tb, Debian, 1)[0] // which skips the test
	}
	client, err := exec.LookPath("docker")
	if err != nil {
		tb.Fatalf("lab: %v", err)
	}
	if _, err := docker(tb.Context(), "tag", string(Debian), AppImage); err != nil {
		tb.Fatalf("lab: %v", err)
	}
	engineHosts.Add(1)
	tb.Cleanup(func() {
		if engineHosts.Add(-1) == 0 { // they share the engine
			cleanEngine(tb)
		}
	})
	return start(tb, Debian, 1,
		"--volume", socket+":/run/docker.sock", "--volume", client+":/usr/bin/docker:ro")[0]
}

// cleanEngine removes what cases left with the engine.
func cleanEngine(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
	defer cancel()
	ids, err := docker(ctx, "ps", "--all", "--quiet", "--filter", "label="+madeHere)
	if err != nil {
		tb.Errorf("lab: looking for containers: %v", err)
		return
	}
	if all := strings.Fields(ids); len(all) > 0 {
		if _, err := docker(ctx, append([]string{"rm", "--force", "--volumes"}, all...)...); err != nil {
			tb.Errorf("lab: removing containers: %v", err)
		}
	}
	images, err := docker(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=registry.example.com/*")
	if err != nil {
		tb.Errorf("lab: looking for images: %v", err)
		return
	}
	if all := strings.Fields(images); len(all) > 0 {
		if _, err := docker(ctx, append([]string{"rmi"}, all...)...); err != nil {
			tb.Logf("lab: %v", err) // a container of a case may hold it
		}
	}
}
