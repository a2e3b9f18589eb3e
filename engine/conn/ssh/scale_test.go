package ssh_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// Fleets are large: a connection that has run a command must be cheap to keep.
//
//nolint:paralleltest // memory is what it measures
func TestMemoryOfConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("many connections take a while")
	}
	const (
		connections = 100
		most        = 300 << 10 // bytes for each
	)
	s := conntest.StartSSHD(t, "MaxStartups 1000")
	d := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}})
	before := inUse()
	conns := make([]conn.Conn, connections)
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			c, err := d.Dial(t.Context(), s.Target())
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = c
			if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	each := (inUse() - before) / connections
	t.Logf("%d bytes for each of %d connections, %d goroutines", each, connections, runtime.NumGoroutine())
	if each > most {
		t.Errorf("%d bytes for each connection, want at most %d", each, most)
	}
	for _, c := range conns {
		if c != nil {
			all.Go(func() { _ = c.Close() })
		}
	}
	all.Wait()
}

// inUse is the memory of the heap and of goroutines.
func inUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
