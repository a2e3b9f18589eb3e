package ssh_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

func writeECDSA(t *testing.T, file string) gossh.PublicKey {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	pub, err := gossh.NewPublicKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// lock writes the key of a file to another one, under a passphrase.
func lock(t *testing.T, from, to, passphrase string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKeyWithPassphrase(*key.(*ed25519.PrivateKey), "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	home, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	writeECDSA(t, filepath.Join(home, ".ssh", "id_ecdsa"))
	stranger := filepath.Join(dir, "stranger")
	conntest.WriteKey(t, stranger)
	locked := filepath.Join(dir, "locked")
	lock(t, s.KeyFile, locked, "open sesame")
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("top secret garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := startAgent(t, text)

	for name, test := range map[string]struct {
		o      ssh.Options
		target conn.Target
		// want is part of the error; empty means that the login succeeds.
		want string
	}{
		"key file":                 {target: conn.Target{KeyFile: s.KeyFile}},
		"locked key file":          {target: conn.Target{KeyFile: locked, KeyPassphrase: "open sesame"}},
		"default key file":         {o: ssh.Options{Home: home}},
		"agent":                    {o: ssh.Options{AgentSocket: socket}},
		"agent that is not there":  {o: ssh.Options{AgentSocket: "/nonexistent", Home: home}},
		"user from the options":    {o: ssh.Options{Home: home, User: s.User}, target: conn.Target{User: "-"}},
		"no user":                  {o: ssh.Options{Home: home}, target: conn.Target{User: "-"}, want: "no user"},
		"nothing":                  {want: "nothing to log in with"},
		"key file of a stranger":   {o: ssh.Options{Home: home}, target: conn.Target{KeyFile: stranger}, want: "log in as"},
		"key file that is missing": {target: conn.Target{KeyFile: "/nonexistent"}, want: "/nonexistent does not exist"},
		"locked, no passphrase":    {target: conn.Target{KeyFile: locked}, want: "needs a passphrase"},
		"locked, wrong passphrase": {target: conn.Target{KeyFile: locked, KeyPassphrase: "hush"}, want: "does not open"},
		"no key at all":            {target: conn.Target{KeyFile: garbage}, want: "no private key"},
		"password":                 {target: conn.Target{Password: "hush"}, want: "log in as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.o.KnownHosts = []string{s.KnownHosts}
			target := s.Target()
			target.KeyFile, target.KeyPassphrase, target.Password = test.target.KeyFile, test.target.KeyPassphrase, test.target.Password
			if test.target.User == "-" {
				target.User = ""
			}
			c, err := ssh.NewDialer(test.o).Dial(t.Context(), target)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if c.User() != s.User {
					t.Errorf("user is %q", c.User())
				}
				_ = c.Close()
				return
			}
			if !errors.Is(err, conn.ErrAuth) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one that wraps %v and tells %q", err, conn.ErrAuth, test.want)
			}
			for _, secret := range []string{"hush", "secret", "sesame"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
		})
	}
}

// startAgent serves one key on a socket.
func startAgent(t *testing.T, key []byte) string {
	t.Helper()
	raw, err := gossh.ParseRawPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
		t.Fatal(err)
	}
	return serveAgent(t, ring)
}
