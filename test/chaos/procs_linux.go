package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// now is the time since the machine was started: the clock that the hosts' journals have as well.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// respawn is how long a process that ended by itself stays down, as whoever supervises it would wait.
const respawn = 300 * time.Millisecond

// process is a part of the installation. It is started again whenever it ends, until close.
type process struct {
	name string
	make func() (*exec.Cmd, error)
	// line, if set, is told every line that it logs.
	line func(at time.Duration, text string)

	held   sync.Mutex // by the fault that is at it
	mu     sync.Mutex
	cmd    *exec.Cmd
	down   time.Duration // how long it stays away at its next end
	asked  bool          // its next end is a fault's doing
	peak   int64         // bytes of memory at the most
	starts int
	exits  []string // ends that nobody asked for
	closed bool
	up     chan struct{} // closed while it runs
	done   chan struct{}
}

// start supervises the process. Its log is in dir.
func (p *process) start(ctx context.Context, dir string) error {
	log, err := os.Create(filepath.Join(dir, p.name+".log"))
	if err != nil {
		return err
	}
	p.up, p.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.done)
		defer func() { _ = log.Close() }()
		for p.once(ctx, log) {
			p.mu.Lock()
			wait := p.down
			p.down, p.asked = respawn, false
			p.mu.Unlock()
			if !pause(ctx, wait) {
				return
			}
		}
	}()
	return nil
}

// once runs the process to its end, and reports whether it is to be started again.
func (p *process) once(ctx context.Context, log io.Writer) bool {
	cmd, err := p.make()
	if err != nil {
		_, _ = fmt.Fprintf(log, "%.3f cannot be started: %v\n", now().Seconds(), err)
		return false
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return false
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return false
	}
	if err = cmd.Start(); err == nil {
		p.cmd = cmd
		p.starts++
		close(p.up)
	}
	p.mu.Unlock()
	_, _ = fmt.Fprintf(log, "%.3f started: %v\n", now().Seconds(), err)
	if err != nil {
		return true
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		at := now()
		_, _ = fmt.Fprintf(log, "%.3f %s\n", at.Seconds(), lines.Text())
		if p.line != nil {
			p.line(at, lines.Text())
		}
	}
	_ = cmd.Wait() // the state says it
	_, _ = fmt.Fprintf(log, "%.3f ended: %s\n", now().Seconds(), cmd.ProcessState)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
	p.up = make(chan struct{})
	if !p.asked && !p.closed {
		p.exits = append(p.exits, fmt.Sprintf("%.3f: %s", now().Seconds(), cmd.ProcessState))
	}
	return !p.closed && ctx.Err() == nil
}

// running waits until the process runs.
func (p *process) running(ctx context.Context) {
	p.mu.Lock()
	up := p.up
	p.mu.Unlock()
	select {
	case <-up:
	case <-ctx.Done():
	}
}

// signal sends a signal. For one that is to end the process, down says how long it is to stay away.
func (p *process) signal(s syscall.Signal, down time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if s == unix.SIGKILL || s == unix.SIGTERM {
		p.down, p.asked = down, true
		p.sample()
	}
	_ = p.cmd.Process.Signal(s)
}

// pid is the process's number, 0 while it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// sample notes how much memory the process had at the most. It is called with the lock held.
func (p *process) sample() {
	if p.cmd == nil {
		return
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err == nil {
		p.peak = max(p.peak, parsePeak(string(text)))
	}
}

// parsePeak reads the most memory a process had, in bytes, from its status file.
func parsePeak(text string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				kb, _ := strconv.ParseInt(f[0], 10, 64)
				return kb << 10
			}
		}
	}
	return 0
}

// close ends the process for good and waits for it.
func (p *process) close() {
	p.mu.Lock()
	p.closed = true
	p.sample()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(unix.SIGCONT)
		_ = p.cmd.Process.Signal(unix.SIGTERM)
	}
	cmd := p.cmd
	p.mu.Unlock()
	if cmd != nil {
		defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	}
	<-p.done
}

// pause waits, and reports whether it did to the end.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
