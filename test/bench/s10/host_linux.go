package main

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// host is one OpenSSH server with directories of its own.
type host struct {
	name string
	// dir holds what the host sees as root, home, tmp; its configuration is in conf, which it sees
	// as /mnt, and its changes of /etc in etc.
	dir string
	// listen is the address and port of its server.
	listen string
}

// makeHost makes a host's directories and configuration, and returns its public host key.
func makeHost(h host, login ssh.PublicKey) (ssh.PublicKey, error) {
	for name, mode := range map[string]os.FileMode{
		"conf": 0o755, "root": 0o700, "root/.ssh": 0o700, "home": 0o755, "tmp": 0o777 | os.ModeSticky,
		"etc": 0o755, "etc-work": 0o755,
	} {
		dir := filepath.Join(h.dir, name)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			return nil, fmt.Errorf("making host %s: %w", h.name, err)
		}
	}
	public, private, err := newKey()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf(`ListenAddress %s
HostKey /mnt/host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
PidFile none
MaxSessions 100
MaxStartups 20000
AcceptEnv LANG LC_*
Subsystem sftp %s
`, h.listen, sftpServer())
	for name, data := range map[string][]byte{
		"conf/host_key": private, "conf/sshd_config": []byte(config),
		"root/.ssh/authorized_keys": ssh.MarshalAuthorizedKey(login),
		"etc/hostname":              []byte(h.name + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(h.dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("making host %s: %w", h.name, err)
		}
	}
	return public, nil
}

// newKey makes a key pair, the private one in the format of OpenSSH.
func newKey() (ssh.PublicKey, []byte, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	key, err := ssh.NewPublicKey(public)
	return key, pem.EncodeToMemory(block), err
}

// sftpServer is where this machine has OpenSSH's SFTP server.
func sftpServer() string {
	for _, path := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return "internal-sftp"
}

// start starts a host's server. It goes on until it is killed.
func (h host) start(p *place, self string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(h.dir, "conf", "sshd.log"))
	if err != nil {
		return nil, fmt.Errorf("starting host %s: %w", h.name, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(self, "host", h.name, h.dir) //nolint:gosec,noctx // this program; down ends it
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	if err := p.start(cmd); err != nil {
		return nil, fmt.Errorf("starting host %s: %w", h.name, err)
	}
	return cmd, nil
}

// becomeHost turns this process into a host's server. It returns only on an error.
func becomeHost(_ context.Context, name, dir string) error {
	// From here on the thread has its own idea of mounts and of the machine's name; exec keeps it.
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// The directories are named by descriptors, as the mounts may hide their paths.
	at := func(name string) (string, error) {
		fd, err := unix.Open(filepath.Join(dir, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return "/proc/self/fd/" + strconv.Itoa(fd), err
	}
	sources := map[string]string{}
	for _, name := range []string{"conf", "root", "home", "tmp", "etc", "etc-work"} {
		path, err := at(name)
		if err != nil {
			return fmt.Errorf("opening %s: %w", name, err)
		}
		sources[name] = path
	}
	overlay := fmt.Sprintf("lowerdir=/etc,upperdir=%s,workdir=%s", sources["etc"], sources["etc-work"])
	for _, m := range []struct{ source, target, kind, data string }{
		{"overlay", "/etc", "overlay", overlay},
		{"tmpfs", "/run", "tmpfs", "mode=755"},
		{sources["conf"], "/mnt", "", ""},
		{sources["root"], "/root", "", ""},
		{sources["home"], "/home", "", ""},
		{sources["tmp"], "/tmp", "", ""},
	} {
		var flags uintptr
		if m.kind == "" {
			flags = unix.MS_BIND
		}
		if err := unix.Mount(m.source, m.target, m.kind, flags, m.data); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := os.Mkdir("/run/sshd", 0o755); err != nil { //nolint:gosec // as sshd wants it
		return err
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting the host's name: %w", err)
	}
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		return err
	}
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	return syscall.Exec(sshd, []string{sshd, "-D", "-e", "-f", "/mnt/sshd_config"}, env) //nolint:gosec // OpenSSH
}
