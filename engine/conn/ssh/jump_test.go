package ssh_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// chain is a configuration for servers by the names one, two and three.
func chain(t *testing.T, servers ...conntest.SSHD) string {
	t.Helper()
	var b strings.Builder
	for i, s := range servers {
		fmt.Fprintf(&b, "Host %s\n  HostName %s\n  Port %d\n  User %s\n  IdentityFile %s\n  UserKnownHostsFile %s\n",
			[]string{"one", "two", "three"}[i], s.Host, s.Port, s.User, s.KeyFile, s.KnownHosts)
	}
	return b.String()
}

func TestJump(t *testing.T) {
	t.Parallel()
	one, two, three := conntest.StartSSHD(t), conntest.StartSSHD(t), conntest.StartSSHD(t)
	hosts := chain(t, one, two, three)
	for name, test := range map[string]struct {
		jump, config string
		// want is part of the error; empty means success.
		want string
	}{
		"one":                    {jump: "one"},
		"two":                    {jump: "one, two"},
		"by the config":          {config: "Host three\nProxyJump two\n"},
		"by two entries":         {config: "Host three\nProxyJump two\nHost two\nProxyJump one\n"},
		"user and port":          {jump: one.User + "@one:" + strconv.Itoa(one.Port)},
		"for every host":         {config: "ProxyJump one\n"},
		"none":                   {jump: "none", config: "ProxyJump nowhere\n"},
		"in a circle":            {config: "Host three\nProxyJump two\nHost two\nProxyJump one\nHost one\nProxyJump two\n", want: "circle"},
		"through itself":         {jump: "three"},
		"user who is refused":    {jump: "nobody@one", want: "log in as nobody"},
		"not a host":             {jump: "one,", want: "not of the form"},
		"not a port":             {jump: "one:x", want: "not of the form"},
		"a proxy command":        {config: "Host three\nProxyCommand nc %h %p\n", want: "config:2"},
		"unknown host's key":     {jump: "stranger", config: "Host stranger\nHostName 127.0.0.1\nPort " + strconv.Itoa(one.Port) + "\n", want: "not known"},
		"that cannot reach it":   {jump: "one", config: "Host three\nHostName 127.0.0.1\nPort 1\n", want: "from jump host"},
		"command before a jump":  {config: "Host three\nProxyCommand none\nProxyJump one\n"},
		"an entry of every kind": {jump: "ssh://one,two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := ssh.NewDialer(ssh.Options{
				User: "root", ConnectTimeout: 2 * time.Second,
				ConfigFiles: []string{write(t, filepath.Join(t.TempDir(), "config"), []byte(test.config+hosts))},
			})
			c, err := d.Dial(t.Context(), conn.Target{Name: "three", KeyFile: three.KeyFile, Jump: test.jump})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want %q in it", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.Run(t.Context(), conn.Cmd{Shell: `echo "$SSH_CONNECTION"`})
			if want := " " + strconv.Itoa(three.Port) + "\n"; err != nil || !strings.HasSuffix(string(out.Stdout), want) {
				t.Errorf("output %q, error %v", out.Stdout, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Hosts behind the same jump host share a connection to it.
func TestJumpIsShared(t *testing.T) {
	t.Parallel()
	bastion, s := conntest.StartSSHD(t), conntest.StartSSHD(t)
	p := startProxy(t, bastion.Addr)
	// The proxy takes one connection: a second one would not be answered.
	config := fmt.Sprintf("Host bastion\nHostName 127.0.0.1\nPort %d\nUser %s\nUserKnownHostsFile %s\n",
		p.port, bastion.User, filepath.Join(t.TempDir(), "known_hosts"))
	config += "StrictHostKeyChecking accept-new\nIdentityFile " + bastion.KeyFile + "\nHost *\nUserKnownHostsFile " + s.KnownHosts + "\n"
	d := ssh.NewDialer(ssh.Options{
		ConnectTimeout: 5 * time.Second,
		ConfigFiles:    []string{write(t, filepath.Join(t.TempDir(), "config"), []byte(config))},
	})
	target := s.Target()
	target.Jump = "bastion"
	var all sync.WaitGroup
	conns := make([]conn.Conn, 5)
	for i := range conns {
		all.Go(func() {
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = c
		})
	}
	all.Wait()
	for i, c := range conns {
		if c == nil {
			t.FailNow()
		}
		if i > 0 {
			_ = conns[i-1].Close()
		}
		if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); err != nil {
			t.Errorf("connection %d, after %d were closed: %v", i, i, err)
		}
	}
	last := conns[len(conns)-1]
	p.cut()
	if _, err := last.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("after the jump host was lost: %v", err)
	}
	_ = last.Close()
	for deadline := time.Now().Add(5 * time.Second); len(sessions(t, bastion)) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the connection to the jump host is still open")
		}
	}
}

// A server that has too many connections at the moment is asked again.
func TestDialTriesAgain(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for range 2 {
			if c, err := l.Accept(); err == nil {
				_ = c.Close()
			}
		}
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Error(err)
			_ = in.Close()
			return
		}
		p := &proxy{frozen: make(chan struct{})}
		served.Go(func() { p.pass(out, in); _ = out.Close() })
		p.pass(in, out)
		_ = in.Close()
	})
	target := s.Target()
	target.Port = l.Addr().(*net.TCPAddr).Port
	known := filepath.Join(t.TempDir(), "known_hosts")
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{known}, AcceptNew: true}).Dial(t.Context(), target)
	if err != nil {
		t.Error(err)
	} else {
		_ = c.Close()
	}
	_ = l.Close()
	served.Wait()
	if text, err := os.ReadFile(known); err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("known hosts are %q, error %v", text, err)
	}
}

// A jump host that does not answer is tried no oftener than any other host,
// however many hops are behind it.
func TestBrokenJumpIsNotTriedForEachHop(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tried := make(chan int)
	go func() {
		count := 0
		for {
			c, err := l.Accept()
			if err != nil {
				tried <- count
				return
			}
			count++
			_ = c.Close()
		}
	}()
	target := conn.Target{Name: "last", User: "me", Password: "x", Jump: "me@" + l.Addr().String() + ",me@second,me@third"}
	target.KeyFile = filepath.Join(t.TempDir(), "id")
	conntest.WriteKey(t, target.KeyFile)
	_, err = ssh.NewDialer(ssh.Options{}).Dial(t.Context(), target)
	if !errors.Is(err, conn.ErrUnreachable) || !strings.Contains(err.Error(), "jump host second: jump host 127.0.0.1: ") {
		t.Errorf("error %v", err)
	}
	_ = l.Close()
	if count := <-tried; count != 3 {
		t.Errorf("tried %d times, want 3", count)
	}
}
