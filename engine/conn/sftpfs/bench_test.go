package sftpfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// What file operations take at a distance of 20 ms each way.
func BenchmarkFar(b *testing.B) {
	s, session := over(b, far(openssh(b), 20*time.Millisecond))
	if err := session.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	f := files.New(s, files.NewHostNames(run))
	ctx, dir := b.Context(), b.TempDir()
	small, large := make([]byte, 1<<10), make([]byte, 1<<20)
	file := filepath.Join(dir, "file")
	mode := fs.FileMode(0o750)
	all := conn.Attr{Owner: "0", Group: "0", Mode: &mode}
	made := 0
	for _, op := range []struct {
		name string
		do   func() error
	}{
		{"write-1KiB", func() error { return f.WriteFile(ctx, file, bytes.NewReader(small), conn.Attr{}) }},
		{"inspect", func() error { _, err := f.Inspect(ctx, file, conn.Look{Sum: true, Size: -1}); return err }},
		{"stat", func() error { _, err := f.Stat(ctx, file); return err }},
		{"write-1MiB", func() error { return f.WriteFile(ctx, file+"2", bytes.NewReader(large), conn.Attr{}) }},
		{"mkdir", func() error {
			made++
			return f.Mkdir(ctx, filepath.Join(dir, fmt.Sprint("dir", made)), conn.Attr{})
		}},
		{"setattr", func() error { return f.SetAttr(ctx, file, all) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			for b.Loop() {
				if err := op.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
