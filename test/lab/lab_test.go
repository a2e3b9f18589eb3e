package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestMain(m *testing.M) { Main(m) }

// login runs command over SSH as a client that checks host keys.
func login(h Host, user, command string) (string, error) {
	pem, err := os.ReadFile(h.KeyFile)
	if err != nil {
		return "", err
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return "", err
	}
	check, err := knownhosts.New(h.KnownHosts)
	if err != nil {
		return "", err
	}
	client, err := ssh.Dial("tcp", h.Address(), &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check,
	})
	if err != nil {
		return "", err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := session.CombinedOutput(command)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func TestHost(t *testing.T) {
	t.Parallel()
	h := Hosts(t, 1)[0]

	if out, err := h.Exec(t.Context(), "systemctl", "is-system-running"); err != nil || out != "running\n" {
		t.Errorf("systemctl is-system-running = %q, %v, want running", out, err)
	}
	if line, err := banner(t.Context(), h.Address()); err != nil || !strings.Contains(line, "OpenSSH") {
		t.Errorf("banner = %q, %v, want OpenSSH's", line, err)
	}
	for _, tt := range []struct{ user, command, want string }{
		{h.User, "whoami", "ops"},
		{h.User, "sudo -n whoami", "root"},
		{"root", "hostname", "host1"},
		{"plain", "sudo -n true 2>/dev/null || echo refused", "refused"},
	} {
		if out, err := login(h, tt.user, tt.command); err != nil || out != tt.want {
			t.Errorf("%s as %s = %q, %v, want %q", tt.command, tt.user, out, err, tt.want)
		}
	}
	if _, err := h.Exec(t.Context(), "sh", "-c", "echo because >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("error of a failed command = %v, want its standard error in it", err)
	}
}

// A host that went down comes back at the same address, with the same keys and the same disk.
func TestRestart(t *testing.T) {
	t.Parallel()
	h := Hosts(t, 1)[0]
	for name, down := range map[string]func() error{
		"stop": func() error { return h.Stop(t.Context()) },
		"kill": func() error { return h.Kill(t.Context()) },
	} {
		if _, err := login(h, "root", "echo "+name+" > /root/mark"); err != nil {
			t.Fatal(err)
		}
		if err := down(); err != nil {
			t.Fatal(err)
		}
		if _, err := banner(t.Context(), h.Address()); err == nil {
			t.Errorf("after %s: sshd still answers", name)
		}
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if out, err := login(h, "root", "cat /root/mark"); err != nil || out != name {
			t.Errorf("after %s and start: mark = %q, %v", name, out, err)
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	hosts := Hosts(t, 2)
	if err := hosts[0].Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := banner(t.Context(), hosts[0].Address()); err == nil {
		t.Error("a paused host answers")
	}
	if out, err := login(hosts[1], "root", "hostname"); err != nil || out != "host2" {
		t.Errorf("hostname of the other host = %q, %v", out, err)
	}
	if err := hosts[0].Unpause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := login(hosts[0], "root", "hostname"); err != nil || out != "host1" {
		t.Errorf("hostname after unpause = %q, %v", out, err)
	}
}
