package conn

import (
	"io/fs"
	"testing"

	"pgregory.net/rapid"
)

func TestModesSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.Uint32Range(0, 0o7777).Draw(t, "bits")
		mode := ModeOf(bits | typeFile)
		if got := PermBits(mode); got != bits || !mode.IsRegular() {
			t.Errorf("%o became %v, and %o again", bits, mode, got)
		}
	})
	for bits, want := range map[uint32]fs.FileMode{
		typeDir: fs.ModeDir, typeLink: fs.ModeSymlink, typeFIFO: fs.ModeNamedPipe, typeSocket: fs.ModeSocket,
		typeChar: fs.ModeDevice | fs.ModeCharDevice, typeBlock: fs.ModeDevice, 0: fs.ModeIrregular,
	} {
		if got := ModeOf(bits); got != want {
			t.Errorf("%o is %v, want %v", bits, got, want)
		}
	}
}
