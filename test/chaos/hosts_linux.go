package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

// A host is an OpenSSH server with an address of its own. They share this machine's files; what they do
// is told apart by their journals.

// makeHosts writes what n servers and those who log in need: keys, configurations, known hosts.
func makeHosts(dir string, n int) error {
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // as sshd wants it
		return err
	}
	login, private, err := newKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"key":        private,
		"authorized": ssh.MarshalAuthorizedKey(login),
	}
	var known strings.Builder
	for i := range n {
		public, private, err := newKey()
		if err != nil {
			return err
		}
		known.WriteString(knownhosts.Line([]string{hostAddress(i)}, public) + "\n")
		name := hostName(i)
		files[name+".key"] = private
		files[name+".sshd"] = fmt.Appendf(nil, `ListenAddress %s
Port %d
HostKey %s
AuthorizedKeysFile %s
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
PidFile none
MaxSessions 100
MaxStartups 1000
ClientAliveInterval %d
ClientAliveCountMax %d
Subsystem sftp internal-sftp
`, hostAddress(i), sshPort, filepath.Join(dir, name+".key"), filepath.Join(dir, "authorized"), aliveInterval, aliveCount)
	}
	files["known_hosts"] = []byte(known.String())
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("make the hosts: %w", err)
		}
	}
	return nil
}

func newKey() (ssh.PublicKey, []byte, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	key, err := ssh.NewPublicKey(public)
	return key, pem.EncodeToMemory(block), err
}

// sshd is the command of a host's server.
func sshd(dir, name string) (*exec.Cmd, error) {
	path, err := exec.LookPath("sshd")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "-D", "-e", "-f", filepath.Join(dir, name+".sshd")) //nolint:gosec,noctx // ended by its process
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	return cmd, nil
}

// killSessions kills the processes of a server's sessions: its descendants that are sshd's as well. The
// commands of the sessions live on until they notice. Without a server there is nothing to kill.
func killSessions(server int) {
	if server == 0 {
		return
	}
	children := map[int][]int{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		pid, parent, name := parseStat(string(stat))
		if strings.HasPrefix(name, "sshd") {
			children[parent] = append(children[parent], pid)
		}
	}
	for next := []int{server}; len(next) > 0; {
		pid := next[0]
		next = append(next[1:], children[pid]...)
		if pid != server {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// parseStat reads a process's stat file, which begins with: pid (name) state parent.
func parseStat(text string) (pid, parent int, name string) {
	open, end := strings.Index(text, "("), strings.LastIndex(text, ")")
	if open < 0 || end < open {
		return 0, 0, ""
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(text[:open]))
	if rest := strings.Fields(text[end+1:]); len(rest) > 1 {
		parent, _ = strconv.Atoi(rest[1])
	}
	return pid, parent, text[open+1 : end]
}
