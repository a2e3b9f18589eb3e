package launch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Become returns argv as sudo runs it for user, never asking for a password. An
// empty user gives argv itself.
func Become(user string, argv []string) []string {
	if user == "" {
		return argv
	}
	if _, err := strconv.ParseUint(user, 10, 32); err == nil {
		user = "#" + user
	}
	return append([]string{"sudo", "-n", "-u", user, "--"}, argv...)
}

// CheckUser refuses names that cannot be a user's.
func CheckUser(user string) error {
	if strings.ContainsAny(user, "\x00\n:/ ") || strings.HasPrefix(user, "-") || strings.HasPrefix(user, "#") {
		return fmt.Errorf("%q is no user's name: %w", user, conn.ErrBecome)
	}
	return nil
}

// Refused is the error for a command that sudo did not start; stderr is what was
// printed.
func Refused(user string, stderr []byte) error {
	why := reason(stderr)
	if why == "" {
		why = "sudo ended without a word"
	}
	return fmt.Errorf("become %s: %s: %w", user, why, conn.ErrBecome)
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

// SFTPServer is the command that serves a user's files on its standard input
// and output.
func SFTPServer(user string) []string {
	return Become(user, []string{"/bin/sh", "-c", sftpScript})
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

// Kill is the command that ends a process group: SIGTERM, and SIGKILL for what
// is left after grace.
func Kill(user string, pgid int, grace time.Duration) []string {
	tenths := int(grace / (100 * time.Millisecond))
	return Become(user, []string{"/bin/sh", "-c", killScript, "jet", strconv.Itoa(pgid), strconv.Itoa(tenths)})
}
