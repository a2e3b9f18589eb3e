package local

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// A machine without an SFTP server has files all the same.
func TestOtherUserWithoutSFTP(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c, err := Dial(t.Context(), conn.Target{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for how, template := range map[string]string{
		"none":          `case {{jet_command}} in *sftp-server*) exec sudo -n -u {{jet_sudo_user}} sh -c "$(printf %s {{jet_command}} | sed 's,/sftp-server,/no-such-server,g')" ;; *) exec sudo -n -u {{jet_sudo_user}} sh -c {{jet_command}} ;; esac`,
		"one that ends": `case {{jet_command}} in *sftp-server*) exec sudo -n -u {{jet_sudo_user}} sh -c "$(printf %s {{jet_command}} | sed 's,exec "$p",exit 3,g')" ;; *) exec sudo -n -u {{jet_sudo_user}} sh -c {{jet_command}} ;; esac`,
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			other, err := c.As(t.Context(), conn.Become{User: name, Template: template})
			if err != nil {
				t.Fatal(err)
			}
			out, err := other.Run(t.Context(), conn.Cmd{Shell: "mktemp -d"})
			if err != nil || out.Code != 0 {
				t.Fatalf("make a directory: %v, %s", err, out.Stderr)
			}
			dir := strings.TrimSpace(string(out.Stdout))
			t.Cleanup(func() {
				if err := c.RemoveAll(t.Context(), dir); err != nil {
					_, _ = c.Run(t.Context(), conn.Cmd{Argv: []string{"sudo", "-n", "rm", "-rf", dir}})
				}
			})
			file := filepath.Join(dir, "file")
			if err := other.WriteFile(t.Context(), file, strings.NewReader("text"), conn.Attr{}); err != nil {
				t.Fatal(err)
			}
			found, err := other.Inspect(t.Context(), file, conn.Look{Content: 10})
			if err != nil || string(found.Content) != "text" || found.Owner != name {
				t.Errorf("found %+v, error %v", found, err)
			}
			if _, err := other.Stat(t.Context(), file+"2"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a missing file: %v", err)
			}
		})
	}
}
