package ssh

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"

	gossh "golang.org/x/crypto/ssh"
)

// lending lends the user's agent to commands on a host. The host may ask for it
// only while a command runs that it was lent to.
type lending struct {
	// socket is the agent's; empty means that there is none to lend.
	socket string
	once   sync.Once
	users  atomic.Int32
}

// lend lets the command that will run on s use the agent, until done is called.
func (t *transport) lend(s *session) (done func()) {
	if t.agent.socket == "" {
		return func() {}
	}
	t.agent.once.Do(func() {
		asked := t.client.HandleChannelOpen("auth-agent@openssh.com")
		t.own(func() {
			for ch := range asked {
				t.admit(ch)
			}
		})
	})
	t.agent.users.Add(1)
	// A host that does not allow it leaves the command without an agent.
	_, _ = s.SendRequest("auth-agent-req@openssh.com", false, nil)
	return func() { t.agent.users.Add(-1) }
}

// admit connects one conversation of the host with the agent.
func (t *transport) admit(asked gossh.NewChannel) {
	if t.agent.users.Load() == 0 {
		_ = asked.Reject(gossh.Prohibited, "no command was lent the agent")
		return
	}
	agent, err := (&net.Dialer{}).DialContext(context.Background(), "unix", t.agent.socket)
	if err != nil {
		_ = asked.Reject(gossh.ConnectionFailed, "the agent does not answer")
		return
	}
	ch, requests, err := asked.Accept()
	if err != nil {
		_ = agent.Close()
		return
	}
	if !t.own(func() {
		var both sync.WaitGroup
		both.Go(func() { gossh.DiscardRequests(requests) })
		both.Go(func() {
			_, _ = io.Copy(ch, agent)
			_ = ch.Close()
		})
		_, _ = io.Copy(agent, ch)
		_ = agent.Close()
		both.Wait()
	}) {
		_ = agent.Close()
		_ = ch.Close()
	}
}
