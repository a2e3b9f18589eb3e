package program

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
)

const (
	// pollGroup is how often a group that is asked to end is looked at.
	pollGroup = 50 * time.Millisecond
	// lastWords is how long the end of standard error is waited for, where a process
	// that left the group holds it.
	lastWords = time.Second
)

// process is a program that runs, in a process group of its own. It belongs to the
// goroutine that started it.
type process struct {
	cmd      *exec.Cmd
	out, err *os.File // our ends of its output
	readers  sync.WaitGroup

	// lines are those of its output, as they are asked for; closed when there are no
	// more. quit, closed by end, lets what is left of them go.
	lines chan line
	quit  chan struct{}
	// exited is closed when the program itself has ended; state tells how.
	exited chan struct{}
	state  *os.ProcessState
	said   tail
	asked  time.Time // to end; zero if it was not
}

// start starts a program. Every line it writes to standard error is given to note,
// by another goroutine.
func start(command, environment []string, directory string, note func(line string)) (*process, error) {
	p := &process{lines: make(chan line), quit: make(chan struct{}), exited: make(chan struct{})}
	// No context: it would kill the program and leave the rest of its group.
	p.cmd = exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // what the operator wants to run; ended by end
	p.cmd.Dir, p.cmd.Env = directory, environment
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, outEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	errs, errEnd, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", command[0], err), out.Close(), outEnd.Close())
	}
	p.out, p.err = out, errs
	p.cmd.Stdout, p.cmd.Stderr = outEnd, errEnd
	err = p.cmd.Start()
	_, _ = outEnd.Close(), errEnd.Close()
	if err != nil {
		_, _ = out.Close(), errs.Close()
		return nil, whyNot(command[0], directory, err)
	}
	p.readers.Go(func() { readLines(p.out, p.lines, p.quit) })
	p.readers.Go(func() { p.said.read(p.err, note) })
	p.readers.Go(func() {
		_ = p.cmd.Wait() // state says it all
		p.state = p.cmd.ProcessState
		close(p.exited)
	})
	return p, nil
}

// whyNot says in one sentence why a program could not be started.
func whyNot(path, directory string, err error) error {
	if info, derr := os.Stat(directory); derr != nil || !info.IsDir() {
		return fmt.Errorf("start %s: there is no directory %s to run it in", path, directory)
	}
	info, serr := os.Stat(path)
	switch {
	case errors.Is(serr, fs.ErrNotExist):
		return fmt.Errorf("start %s: there is no such program on the machine of jet-bus", path)
	case serr == nil && info.IsDir():
		return fmt.Errorf("start %s: it is a directory", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("start %s: the user of jet-bus may not execute it", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("start %s: it is not a program; a script needs a first line such as #!/bin/sh", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("start %s: the interpreter that its first line names is not there", path)
	}
	return fmt.Errorf("start %s: %w", path, err)
}

// ask asks the group to end, once.
func (p *process) ask() {
	if p.asked.IsZero() {
		p.asked = time.Now()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	}
}

// over reports whether nothing of the group runs.
func (p *process) over() bool {
	select {
	case <-p.exited:
		return !groupRuns(p.cmd.Process.Pid)
	default:
		return false
	}
}

// groupRuns reports whether a process of the group runs. A zombie does not: in a
// container there may be nobody who takes it away.
func groupRuns(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may be gone
		_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
		fields := strings.Fields(rest) // state, parent, group
		if len(fields) > 2 && fields[2] == strconv.Itoa(group) && fields[0] != "Z" && fields[0] != "X" {
			return true
		}
	}
	return len(files) == 0 // there is no /proc to ask
}

// end asks the group to end, kills what is left of it after patience, lets go what it
// wrote and nobody took, and returns when all is done.
func (p *process) end(patience time.Duration) {
	close(p.quit)
	p.ask()
	insist := time.NewTimer(time.Until(p.asked.Add(patience)))
	defer insist.Stop()
	tick := time.NewTicker(pollGroup)
	defer tick.Stop()
	for waiting := true; waiting && !p.over(); {
		select {
		case <-tick.C:
		case <-insist.C:
			waiting = false
		}
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // almost always there is nobody any more
	<-p.exited
	// Whoever has left the group may hold the other ends for ever.
	_ = p.err.SetReadDeadline(time.Now().Add(lastWords))
	_ = p.out.SetReadDeadline(time.Now())
	p.readers.Wait()
	_, _ = p.out.Close(), p.err.Close()
}

// outcome says how a program ended that nobody asked to; nil for exit status 0.
func (p *process) outcome() error {
	var how string
	switch ws, ok := p.state.Sys().(syscall.WaitStatus); {
	case ok && ws.Signaled():
		how = fmt.Sprintf("was ended by signal %d (%s)", int(ws.Signal()), ws.Signal())
	case p.state.ExitCode() == 0:
		return nil
	default:
		how = fmt.Sprintf("exited with status %d", p.state.ExitCode())
	}
	if last := p.said.last(); last != "" {
		how += ": " + last
	}
	return fmt.Errorf("%s %s", source.Clip(p.cmd.Path, maxShown), how)
}
