package modules

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/test/lab"
)

// around makes what an example needs beside its host, and returns the arguments
// that tell jet of it.
func (e example) around(t *testing.T, h lab.Host) []string {
	t.Helper()
	switch e.module {
	case "publish":
		return []string{"--bus", startBus(t)}
	case "github_release":
		return []string{"-e", `{"forge": "` + published.URL + `"}`}
	case "service", "sd_service":
		on(t, h, "systemctl", "stop", "cron")
		return nil
	case "reboot":
		on(t, h, "touch", "/run/reboot-required")
		revive(t, h)
		return nil
	default:
		return nil
	}
}

// on runs a command on the host, past SSH.
func on(t *testing.T, h lab.Host, argv ...string) {
	t.Helper()
	if _, err := h.Exec(t.Context(), argv...); err != nil {
		t.Fatal(err)
	}
}

// startBus starts a bus without rules and returns its data directory.
func startBus(t *testing.T) string {
	t.Helper()
	o := busd.Options{
		Data: filepath.Join(t.TempDir(), "data"), Content: t.TempDir(), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0",
		Sync: busserver.Process,
	}
	rules := filepath.Join(o.Content, "rules")
	err := errors.Join(os.Mkdir(o.Data, 0o700), os.Mkdir(rules, 0o755), os.WriteFile(filepath.Join(rules, ".keep"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p, err := busd.Start(ctx, o)
	if err != nil {
		cancel()
		t.Fatalf("starting a bus: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running the bus: %v", err)
		}
	})
	return o.Data
}
