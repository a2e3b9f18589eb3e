package proc

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// Env is the outside of one command.
type Env struct {
	// Args are the arguments after the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	UID            int
	// Terminal is true if Stdout is a terminal that takes colours.
	Terminal bool
	// Stop is closed at the first request to end (SIGINT or SIGTERM). The
	// context of the command ends at the second.
	Stop <-chan struct{}
	// Why says what Stop was closed for; it is called after that. It may be nil.
	Why func() error
	// Reload receives a value at SIGHUP.
	Reload <-chan os.Signal
}

// Logger returns a logger of text lines on the error stream.
func (e Env) Logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: level}))
}

// StoppedError is the cause of a context that a signal ended. It is a
// [context.Canceled].
type StoppedError struct{ Signal os.Signal }

// Error names the signal.
func (s StoppedError) Error() string {
	switch s.Signal {
	case os.Interrupt:
		return "stopped by SIGINT"
	case syscall.SIGTERM:
		return "stopped by SIGTERM"
	default:
		return "stopped by the signal " + s.Signal.String()
	}
}

// Is makes it a [context.Canceled].
func (s StoppedError) Is(target error) bool { return target == context.Canceled }

// Context returns a context that ends at the first request to end, and has the
// signal as its cause.
func (e Env) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-e.Stop:
			cancel(e.stopped())
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(nil); wg.Wait() }
}

// stopped returns what the process was asked to end by, nil if it was not.
func (e Env) stopped() error {
	select {
	case <-e.Stop:
		if e.Why != nil {
			return e.Why()
		}
		return context.Canceled
	default:
		return nil
	}
}

// Main runs a command with the outside of this process and returns its exit
// code.
func Main(run func(context.Context, Env) int) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var why error // written before stop is closed
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	// A reader of ours that went away shows as an error of the write, so that
	// what must be cleaned up is; by default the process would end on the spot.
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, syscall.SIGPIPE)
	defer signal.Stop(gone)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		for n := 0; ; n++ {
			var sig os.Signal
			select {
			case <-ctx.Done():
				return
			case sig = <-signals:
			}
			if n > 0 {
				signal.Stop(signals) // a third one ends the process at once
				cancel(StoppedError{sig})
				return
			}
			why = StoppedError{sig}
			close(stop)
		}
	})
	return run(ctx, Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, UID: os.Getuid(),
		Terminal: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Stop:     stop, Why: func() error { return why }, Reload: reload,
	})
}
