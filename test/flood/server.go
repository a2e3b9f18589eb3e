package flood

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/internal/access"
)

// patience bounds how long jet-bus may take to start, to answer whether it is well, and to stop.
const patience = 60 * time.Second

// server is a jet-bus process.
type server struct {
	data, log string
	address   access.Address
	cmd       *exec.Cmd
	ended     chan struct{}
	err       error // of its end; read after ended
}

func startServer(ctx context.Context, s Settings, dir string) (*server, error) {
	v := &server{data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	out, err := os.Create(v.log)
	if err != nil {
		return nil, fmt.Errorf("start jet-bus: %w", err)
	}
	defer func() { _ = out.Close() }() // the process has its own
	// It outlives ctx, and ends by stop or kill.
	v.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.Binary, "--data", v.data, "--content", filepath.Join(dir, "content"), //nolint:gosec // what was asked for
		"--hooks", filepath.Join(dir, "hooks.yml"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--durability", s.Durability)
	v.cmd.Stderr = out
	if err := v.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start jet-bus: %w", err)
	}
	go func() {
		v.err = v.cmd.Wait()
		close(v.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if v.address, err = access.ReadAddress(v.data); err == nil && v.healthy(ctx) {
			return v, nil
		}
		select {
		case <-ctx.Done():
			v.kill()
			return nil, fmt.Errorf("jet-bus is not ready: %w: %s", context.Cause(ctx), v.said())
		case <-v.ended:
			return nil, fmt.Errorf("jet-bus does not start: %w: %s", v.err, v.said())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// hostPort is where it takes webhooks.
func (v *server) hostPort() string { return strings.TrimPrefix(v.address.HTTP, "http://") }

// healthy asks it, over a connection of its own, whether it is well.
func (v *server) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.address.HTTP+"/healthz", nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// said is the end of what it wrote.
func (v *server) said() string {
	text, err := os.ReadFile(v.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2<<10):]))
}

// stop ends it in order.
func (v *server) stop() error {
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop jet-bus: %w: %s", err, v.said())
	}
	select {
	case <-v.ended:
	case <-time.After(patience):
		v.kill()
		return fmt.Errorf("jet-bus did not stop: %s", v.said())
	}
	if v.err != nil {
		return fmt.Errorf("jet-bus ended: %w: %s", v.err, v.said())
	}
	return nil
}

func (v *server) kill() {
	_ = v.cmd.Process.Kill() // it may have ended by itself
	<-v.ended
}

// usage is what a process has of memory, in bytes.
type usage struct {
	rss, peak int64
	known     bool
}

// memory reads how much memory it has, where the system says.
func (v *server) memory() (u usage, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(v.cmd.Process.Pid) + "/status")
	select {
	case <-v.ended:
		return u, fmt.Errorf("jet-bus ended: %s", v.said())
	default:
	}
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err != nil {
		return u, fmt.Errorf("read the memory of jet-bus: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || unit != "kB" {
			continue
		}
		switch name {
		case "VmHWM":
			u.peak = n << 10
		case "VmRSS":
			u.rss, u.known = n<<10, true
		}
	}
	return u, nil
}

// cpu is how much processor time it has had, zero where the system does not say.
func (v *server) cpu() time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(v.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	// What is behind the name in parentheses begins with the third field; 14 and 15 are ticks of a hundredth of a second.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, i := range []int{14 - 3, 15 - 3} {
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64) // a number, as the kernel has it
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
