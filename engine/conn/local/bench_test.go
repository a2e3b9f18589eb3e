package local_test

import (
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
)

// What a command costs beside itself.
func BenchmarkRun(b *testing.B) {
	c, err := local.Dial(b.Context(), conn.Target{Name: "here"})
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
