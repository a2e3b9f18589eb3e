package main

import (
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

// daemon is jet-bus as a process of its own.
type daemon struct {
	binary, content, data string

	cmd   *exec.Cmd
	log   string // file of its standard error
	ended chan struct{}
	err   error // of its end; read after ended
}

// buildDaemon builds jet-bus as the README says, and returns its file.
func buildDaemon(ctx context.Context, dir string) (string, error) {
	name := filepath.Join(dir, "jet-bus")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", name, "github.com/jet-bus/jet-bus/cmd/jet-bus") //nolint:gosec // a file of ours
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build jet-bus: %w: %s", err, out)
	}
	return name, nil
}

// start starts it and waits until it answers that it is healthy. It returns how long that took.
func (d *daemon) start(ctx context.Context) (took time.Duration, err error) {
	// The file tells where it listens: what the last one left must not be taken for that.
	err = os.Remove(filepath.Join(d.data, "address.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("start jet-bus: %w", err)
	}
	d.log = d.data + ".log"
	out, err := os.Create(d.log)
	if err != nil {
		return 0, fmt.Errorf("start jet-bus: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	// It outlives ctx, and ends by stop or kill.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.binary, "--content", d.content, "--data", d.data, //nolint:gosec // what was asked for
		"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	cmd.Stderr = out
	ended := make(chan struct{})
	d.cmd, d.ended, d.err = cmd, ended, nil
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		close(ended)
		return 0, fmt.Errorf("start jet-bus: %w", err)
	}
	go func() {
		d.err = cmd.Wait()
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !d.healthy(ctx) {
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("wait for jet-bus: %w", context.Cause(ctx)), d.kill())
		case <-ended:
			return 0, fmt.Errorf("jet-bus ended (%w): %s", d.err, d.said())
		case <-time.After(time.Millisecond):
		}
	}
	return time.Since(begin), nil
}

func (d *daemon) healthy(ctx context.Context) bool {
	a, err := access.ReadAddress(d.data)
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.HTTP+"/healthz", nil)
	if err != nil {
		return false
	}
	req.Close = true // the next process has another address
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// said is the end of what it wrote.
func (d *daemon) said() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2<<10):]))
}

// stop ends it in order.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop jet-bus: %w: %s", err, d.said())
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("jet-bus does not stop: %s", d.said()), d.kill())
	}
	if d.err != nil {
		return fmt.Errorf("stop jet-bus: %w: %s", d.err, d.said())
	}
	return nil
}

// kill ends it as a crash does. One that has ended already is not an error.
func (d *daemon) kill() error {
	if d.cmd.Process == nil {
		return nil // it did not come that far
	}
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill jet-bus: %w", err)
	}
	<-d.ended
	return nil
}

// memory is what a process has of it, in bytes: resident, and of that what is its own and what are
// pages of files, which the system can drop.
type memory struct {
	RSS  int64 `json:"rss"`
	Anon int64 `json:"anon"`
	File int64 `json:"file"`
	// Peak is the most that was resident since the start.
	Peak int64 `json:"peak"`
	// Known is false on systems without /proc.
	Known bool `json:"known"`
}

// memory reads how much memory it has.
func (d *daemon) memory() (memory, error) {
	text, err := d.proc("status")
	return parseStatus(text), err
}

// cpu is how long the process has used a processor; zero where the system does not
// say.
func (d *daemon) cpu() (time.Duration, error) {
	text, err := d.proc("stat")
	if err != nil || text == "" {
		return 0, err
	}
	return parseStat(text)
}

// proc reads a file about the process, which is empty where the system has none.
func (d *daemon) proc(name string) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(d.cmd.Process.Pid) + "/" + name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		select {
		case <-d.ended:
			return "", fmt.Errorf("jet-bus ended: %s", d.said())
		default:
			return "", nil
		}
	case err != nil:
		return "", fmt.Errorf("see what jet-bus takes: %w", err)
	}
	return string(text), nil
}

// parseStat reads how long a process has run from the text of its stat file: the
// 14th and 15th field, in hundredths of a second. The second may hold anything.
func parseStat(text string) (time.Duration, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("see what jet-bus takes: %q", text)
	}
	var all time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("see what jet-bus takes: %w", err)
		}
		all += time.Duration(n) * 10 * time.Millisecond
	}
	return all, nil
}

// parseStatus reads the text of a process's status file.
func parseStatus(text string) (m memory) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || unit != "kB" {
			continue
		}
		switch name {
		case "VmHWM":
			m.Peak = n << 10
		case "VmRSS":
			m.RSS, m.Known = n<<10, true
		case "RssAnon":
			m.Anon = n << 10
		case "RssFile":
			m.File = n << 10
		}
	}
	return m
}
