package local_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T) conn.Conn {
	t.Helper()
	c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Name: "here", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conntest.Run(t, dial)
}

func TestConformanceAsOtherUser(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c := dial(t)
	conntest.Run(t, func(t *testing.T) conn.Conn {
		t.Helper()
		other, err := c.As(t.Context(), conn.Become{User: name})
		if err != nil {
			t.Fatal(err)
		}
		return other
	})
}

func TestAsUserThatDoesNotExist(t *testing.T) {
	t.Parallel()
	conntest.OtherUser(t)
	c := dial(t)
	other, err := c.As(t.Context(), conn.Become{User: "jet-no-such-user"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrBecome) {
		t.Errorf("run: %v", err)
	}
	if _, err := other.Stat(t.Context(), "/"); !errors.Is(err, conn.ErrBecome) {
		t.Errorf("stat: %v", err)
	}
}

func TestCloseEndsCommands(t *testing.T) {
	t.Parallel()
	c, err := local.Dial(t.Context(), conn.Target{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	ended := make(chan error)
	go func() {
		_, err := c.Run(context.WithoutCancel(t.Context()), conn.Cmd{Shell: "echo; exec sleep 1000", Stdout: closer(started)})
		ended <- err
	}()
	<-started
	go func() { _ = c.Close() }()
	if err := <-ended; !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("a command on a closed connection: %v", err)
	}
	_ = c.Close()
	if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("run after close: %v", err)
	}
	if _, err := c.As(t.Context(), conn.Become{User: "nobody-here"}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("as after close: %v", err)
	}
}

// closer is a writer that closes a channel when something is written.
type closer chan struct{}

func (c closer) Write(p []byte) (int, error) {
	close(c)
	return len(p), nil
}
