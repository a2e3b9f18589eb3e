package ssh_test

import (
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// What a command costs beside itself, the network left out.
func BenchmarkRun(b *testing.B) {
	s := conntest.StartSSHD(b)
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}}).Dial(b.Context(), s.Target())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for b.Loop() {
		if _, err := c.Run(b.Context(), conn.Cmd{Argv: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
	}
}
