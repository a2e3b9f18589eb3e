package modules

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestExternalHasChangedUnlessItSaysNo(t *testing.T) {
	t.Parallel()
	for text, passive := range map[string]bool{
		"echo '{}'": false, `echo '{"changed": true}'`: false, "echo 'changed: false'": true,
	} {
		file := filepath.Join(t.TempDir(), "prog")
		write(t, file, "#!/bin/sh\n"+text+"\n")
		m := external{Use: "prog", program: program{file: file, input: []byte("{}")}}
		res, err := m.Apply(t.Context(), &engine.Host{Conn: here(t)}, engine.Plan{Need: engine.Execute})
		if err != nil || res.Passive != passive {
			t.Errorf("%s: passive %v, %v", text, res.Passive, err)
		}
	}
}

// TestProgramLeavesNothing runs programs that end well, that fail and that are
// stopped.
func TestProgramLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"good": "true", "bad": "exit 1", "stopped": "touch $1; sleep 60"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, tmp := t.TempDir(), t.TempDir()
			file := filepath.Join(dir, "prog")
			write(t, file, "#!/bin/sh\nstat -c %a $0 ${0%/*}\n"+text+"\n")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ran := make(chan struct{})
			if name == "stopped" {
				go func() {
					defer close(ran)
					for ctx.Err() == nil {
						if _, err := os.Stat(dir + "/ran"); err == nil {
							cancel()
						}
						select {
						case <-ctx.Done():
						case <-time.After(time.Millisecond):
						}
					}
				}()
			} else {
				close(ran)
			}
			out, err := program{file: file, dir: hostPath(tmp), args: []string{dir + "/ran"}}.run(ctx, here(t))
			cancel()
			<-ran
			if (err != nil) != (name == "stopped") {
				t.Errorf("error is %v", err)
			}
			if got := string(out.Stdout); err == nil && got != "700\n700\n" {
				t.Errorf("modes are %q", got)
			}
			if left, _ := os.ReadDir(tmp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// slowToClose is a host that takes the program for being written at first.
type slowToClose struct {
	conn.Conn
	busy int
}

func (s *slowToClose) Run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	if s.busy--; s.busy >= 0 {
		return conn.Output{Code: 126, Stderr: []byte("prog: Text file busy\n")}, nil
	}
	return s.Conn.Run(ctx, c)
}

func TestProgramIsStartedAgainWhileBusy(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "prog")
	write(t, file, "#!/bin/sh\ncat\n")
	out, err := program{file: file, input: []byte("hello")}.run(t.Context(), &slowToClose{here(t), 2})
	if err != nil || string(out.Stdout) != "hello" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
}
