package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// ring is an agent with several keys, one of which a server takes.
func ring(t *testing.T, keyFile string) (socket string) {
	t.Helper()
	keys := agent.NewKeyring()
	for i := range 7 {
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Add(agent.AddedKey{PrivateKey: priv, Comment: "stranger " + string(rune('0'+i))}); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := gossh.ParseRawPrivateKey(read(t, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Add(agent.AddedKey{PrivateKey: raw, Comment: "deploy@work"}); err != nil {
		t.Fatal(err)
	}
	return serveAgent(t, keys)
}

func serveAgent(t *testing.T, keys agent.Agent) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				_ = agent.ServeAgent(keys, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return socket
}

// An agent may hold more keys than a host has patience for.
func TestAgentKeys(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	socket := ring(t, s.KeyFile)
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked")
	lock(t, s.KeyFile, locked, "open sesame")
	public := write(t, filepath.Join(dir, "held.pub"), gossh.MarshalAuthorizedKey(signerOf(t, s.KeyFile).PublicKey()))
	stranger := filepath.Join(dir, "stranger")
	conntest.WriteKey(t, stranger)
	for name, test := range map[string]struct {
		target conn.Target
		config string
		want   string
	}{
		"by its comment":            {target: conn.Target{KeyComment: "deploy@work"}},
		"by a comment it has not":   {target: conn.Target{KeyComment: "nobody"}, want: `comment "nobody"`},
		"by another comment":        {target: conn.Target{KeyComment: "stranger 1"}, want: "log in as"},
		"too many":                  {want: "log in as"},
		"named by the config":       {config: "IdentityFile " + strings.TrimSuffix(public, ".pub")},
		"named alone":               {config: "IdentitiesOnly yes\nIdentityFile " + public},
		"another one, alone":        {config: "IdentitiesOnly yes\nIdentityFile " + stranger, want: "log in as"},
		"none, says the config":     {config: "IdentityAgent none", want: "nothing to log in with"},
		"the config's agent":        {config: "IdentityAgent /nonexistent", want: "nothing to log in with"},
		"a key file that it holds":  {target: conn.Target{KeyFile: locked}},
		"a public key's other half": {target: conn.Target{KeyFile: public}},
		"a public key it has not":   {target: conn.Target{KeyFile: stranger + ".pub"}, want: "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := s.Target()
			target.KeyFile, target.KeyComment = test.target.KeyFile, test.target.KeyComment
			c, err := ssh.NewDialer(ssh.Options{
				KnownHosts: []string{s.KnownHosts}, AgentSocket: socket,
				ConfigFiles: []string{write(t, filepath.Join(t.TempDir(), "config"), []byte(test.config+"\n"))},
			}).Dial(t.Context(), target)
			if err == nil {
				_ = c.Close()
			}
			if test.want == "" && err != nil ||
				test.want != "" && (!errors.Is(err, conn.ErrAuth) || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestForwardAgent(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	socket := ring(t, s.KeyFile)
	for name, test := range map[string]struct {
		allowed, asked, lent bool
	}{
		"lent":        {true, true, true},
		"not allowed": {false, true, false},
		"not asked":   {true, false, false},
	} {
		c := dial(t, s, ssh.Options{AgentSocket: socket, ForwardAgent: test.allowed})
		for range 2 {
			out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"ssh-add", "-l"}, ForwardAgent: test.asked})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(out.Stdout), "deploy@work"); got != test.lent {
				t.Errorf("%s: lent %t, want %t: %s%s", name, got, test.lent, out.Stdout, out.Stderr)
			}
		}
	}
}

// What a command was lent is not the host's to use after it.
func TestForwardAgentEnds(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	c := dial(t, s, ssh.Options{AgentSocket: ring(t, s.KeyFile), ForwardAgent: true})
	// The session outlives its command for as long as its output is held.
	out, err := c.Run(t.Context(), conn.Cmd{
		Shell: `echo "$SSH_AUTH_SOCK"; sleep 4 &`, ForwardAgent: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimSpace(string(out.Stdout))
	if socket == "" {
		t.Fatalf("no agent: %s", out.Stderr)
	}
	out, err = c.Run(t.Context(), conn.Cmd{Argv: []string{"ssh-add", "-l"}, Env: map[string]string{"SSH_AUTH_SOCK": socket}})
	if err != nil || out.Code == 0 || strings.Contains(string(out.Stdout), "deploy@work") {
		t.Errorf("after the command: code %d, %s, error %v", out.Code, out.Stdout, err)
	}
}
