package launch

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// field is a placeholder of a become template.
var field = lazyregexp.New(`\{\{\s*(jet_sudo_user|jet_command)\s*\}\}`)

// Become returns argv as it is started on behalf of b: by sudo, or by the
// template. No user gives argv itself. A prompt that is not empty is the
// question by which sudo asks for the password; without one it never asks.
func Become(b conn.Become, argv []string) (started []string, prompt string) {
	switch {
	case b.User == "":
		return argv, ""
	case b.Template != "":
		line := field().ReplaceAllStringFunc(b.Template, func(f string) string {
			if strings.Contains(f, "jet_command") {
				return Quote(Line(argv))
			}
			return Quote(b.User)
		})
		return []string{"/bin/sh", "-c", line}, ""
	}
	user := b.User
	if _, err := strconv.ParseUint(user, 10, 32); err == nil {
		user = "#" + user
	}
	if b.Password == "" {
		return append([]string{"sudo", "-n", "-u", user, "--"}, argv...), ""
	}
	prompt = "jet-" + rand.Text()
	return append([]string{"sudo", "-S", "-p", prompt, "-u", user, "--"}, argv...), prompt
}

// Check refuses names that cannot be a user's, templates that start no command,
// and passwords that sudo cannot be given.
func Check(b conn.Become) error {
	switch {
	case strings.ContainsAny(b.User, "\x00\n:/ ") || strings.HasPrefix(b.User, "-") || strings.HasPrefix(b.User, "#"):
		return fmt.Errorf("%q is no user's name: %w", b.User, conn.ErrBecome)
	case strings.ContainsAny(b.Password, "\x00\n\r"):
		return fmt.Errorf("become %s: the password holds a line break or a NUL byte: %w", b.User, conn.ErrBecome)
	case strings.ContainsRune(b.Template, 0):
		return fmt.Errorf("become %s: the template holds a NUL byte: %w", b.User, conn.ErrBecome)
	case b.Template == "":
		return nil
	}
	for _, f := range field().FindAllString(b.Template, -1) {
		if strings.Contains(f, "jet_command") {
			return nil
		}
	}
	return fmt.Errorf("become %s: the template %q has no {{jet_command}}: %w", b.User, b.Template, conn.ErrBecome)
}

// Refused is the error for a command that was not started as b's user; stderr is
// what was printed.
func Refused(b conn.Become, stderr []byte) error {
	why := reason(stderr)
	switch {
	case why != "":
	case b.Template != "":
		why = "the template's command ended without a word"
	default:
		why = "sudo ended without a word"
	}
	return fmt.Errorf("become %s: %s: %w", b.User, why, conn.ErrBecome)
}

// reason is the first line that sudo, or the shell in search of it, printed.
func reason(stderr []byte) string {
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "sudo:") {
			return strings.TrimSpace(line)
		}
	}
	last := strings.TrimSpace(lines[len(lines)-1])
	if strings.Contains(last, "sudo") && strings.Contains(last, "not found") {
		return "the host has no sudo (" + last + ")"
	}
	return last
}

// sftpScript replaces itself with the host's SFTP server.
const sftpScript = `for p in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/sftp-server /usr/lib/sftp-server; do
  [ -x "$p" ] && exec "$p"
done
echo "the host has no sftp-server" >&2
exit 98`

// SFTPServer returns the command that serves a user's files on its standard
// input and output, behind its [Mark].
func SFTPServer(b conn.Become) *Command {
	return command(b, []string{"/bin/sh", "-c", sftpScript})
}

// killScript is started as: sh -c killScript jet PGID TENTHS
//
// A group that is gone ends it early. The second argument counts tenths of a
// second.
const killScript = `kill -s TERM -- "-$1" 2>/dev/null || exit 0
i=0
while [ "$i" -lt "$2" ]; do
  kill -s 0 -- "-$1" 2>/dev/null || exit 0
  sleep 0.1 2>/dev/null || { sleep 1; i=$((i+9)); }
  i=$((i+1))
done
kill -s KILL -- "-$1" 2>/dev/null
exit 0`

// Kill returns the command by which b's user ends a process group: SIGTERM, and
// SIGKILL for what is left after grace.
func Kill(b conn.Become, pgid int, grace time.Duration) *Command {
	tenths := int(grace / (100 * time.Millisecond))
	return command(b, []string{"/bin/sh", "-c", killScript, "jet", strconv.Itoa(pgid), strconv.Itoa(tenths)})
}
