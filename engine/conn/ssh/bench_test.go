package ssh_test

import (
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// What a command costs beside itself, the network left out: with its lifeline,
// as one that only reads, and bare, as a shell's line in a session.
func BenchmarkRun(b *testing.B) {
	s := conntest.StartSSHD(b)
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}}).Dial(b.Context(), s.Target())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for name, cmd := range map[string]conn.Cmd{
		"lifeline": {Argv: []string{"true"}},
		"reads":    {Argv: []string{"true"}, ReadOnly: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Run(b.Context(), cmd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("bare", func(b *testing.B) {
		client, err := gossh.Dial("tcp", s.Addr, &gossh.ClientConfig{
			User: s.User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signerOf(b, s.KeyFile))},
			HostKeyCallback: gossh.FixedHostKey(s.HostKey),
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = client.Close() })
		for b.Loop() {
			session, err := client.NewSession()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := session.Output("exec true"); err != nil {
				b.Fatal(err)
			}
			_ = session.Close()
		}
	})
}

func BenchmarkDial(b *testing.B) {
	s := conntest.StartSSHD(b)
	d := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}})
	for b.Loop() {
		c, err := d.Dial(b.Context(), s.Target())
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}
