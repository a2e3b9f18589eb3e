package conntest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// AccountPassword is the password of the user of [StartSSHDWithAccount].
const AccountPassword = "correct horse"

// accountHash is AccountPassword as /etc/shadow has it.
const accountHash = "$6$jetbus$TIHWjxU0otAbT5K6PapQIEDTQoz10ITErf0q3WA6YiEh03Gyv4aH2MrSmnNOslizLhRghrXfQyuaqhvpLb8hg."

// account sets up what the server sees: accounts and sudo's rules of its own,
// over those of the machine. It is started as: sh -c account sh DIR COMMAND...
const account = `set -e
for f in passwd group shadow; do mount --bind "$1/$f" "/etc/$f"; done
mkdir -p /run/sudo /var/lib/sudo
for d in /etc/sudoers.d /run/sudo /var/lib/sudo /mnt; do mount -t tmpfs -o mode=755 tmpfs "$d"; done
cp "$1/sudoers" /etc/sudoers.d/jet
chmod 440 /etc/sudoers.d/jet
cp "$1/authorized_keys" /mnt/authorized_keys
chmod 644 /mnt/authorized_keys
mkdir -m 700 /mnt/home
chown 64999:64999 /mnt/home
shift
exec "$@"`

// StartSSHDWithAccount starts a server whose user, who is not the superuser,
// exists for that server alone. Sudo lets him become nobody at once, and anyone
// else for his password, [AccountPassword]. It takes the superuser and Linux.
func StartSSHDWithAccount(t testing.TB, config ...string) SSHD {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "the superuser is needed, to make an account for the test alone")
	}
	for _, tool := range []string{"unshare", "sudo"} {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, tool+" is needed, to make an account for the test alone")
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-m", "true").CombinedOutput(); err != nil {
		Missing(t, "a mount namespace is needed: "+string(out))
	}
	s := newSSHD(t, "jet-login")
	for file, line := range map[string]string{
		"passwd": s.User + ":x:64999:64999::/mnt/home:/bin/sh\n",
		"group":  s.User + ":x:64999:\n",
		"shadow": s.User + ":" + accountHash + ":19000:0:99999:7:::\n",
	} {
		text, err := os.ReadFile("/etc/" + file)
		check(t, err)
		if !strings.HasSuffix(string(text), "\n") {
			line = "\n" + line
		}
		mode := os.FileMode(0o644)
		if file == "shadow" {
			mode = 0o600
		}
		check(t, os.WriteFile(filepath.Join(s.Dir, file), append(text, line...), mode))
	}
	rules := s.User + " ALL=(ALL:ALL) ALL\n" + s.User + " ALL=(nobody) NOPASSWD: ALL\n"
	check(t, os.WriteFile(filepath.Join(s.Dir, "sudoers"), []byte(rules), 0o600))
	s.start(t, []string{"unshare", "-m", "--propagation", "private", "sh", "-c", account, "sh", s.Dir},
		append([]string{"AuthorizedKeysFile /mnt/authorized_keys"}, config...))
	return s
}
