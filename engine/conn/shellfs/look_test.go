package shellfs

import (
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestParse(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		out     string
		info    conn.FileInfo
		sum     bool
		content string
		bad     bool
	}{
		{out: "81a4 5 17 0 7 - \n", info: conn.FileInfo{Mode: 0o644, Size: 5, ModTime: time.Unix(17, 0), GID: 7}},
		{out: "8fff 5 -17 1 7 - \n", info: conn.FileInfo{
			Mode: 0o777 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, Size: 5, ModTime: time.Unix(-17, 0), UID: 1, GID: 7,
		}},
		{out: "drwxr-xr-t. 5 - 4294967294 7 - \n", info: conn.FileInfo{
			Mode: 0o755 | fs.ModeDir | fs.ModeSticky, Size: 5, UID: 4294967294, GID: 7,
		}},
		{out: "81a4 5 17 0 7 - " + sum + "  -\n", info: conn.FileInfo{Mode: 0o644, Size: 5, ModTime: time.Unix(17, 0), GID: 7}, sum: true},
		{
			out: "81a4 5 17 0 7 + SHA2-256(stdin)= " + sum + "\na\nb\n", sum: true, content: "a\nb\n",
			info: conn.FileInfo{Mode: 0o644, Size: 5, ModTime: time.Unix(17, 0), GID: 7},
		},
		{out: "", bad: true},
		{out: "81a4 5 17 0 7 - ", bad: true},
		{out: "81a4 5 17 0 7\n", bad: true},
		{out: "rw-r--r-- 5 17 0 7 - \n", bad: true},
		{out: "drwxr-xr-y 5 17 0 7 - \n", bad: true},
		{out: "xyz 5 17 0 7 - \n", bad: true},
		{out: "81a4 -5 17 0 7 - \n", bad: true},
		{out: "81a4 5 now 0 7 - \n", bad: true},
		{out: "81a4 5 17 root 7 - \n", bad: true},
		{out: "81a4 5 17 0 -7 - \n", bad: true},
	} {
		a, err := parse([]byte(tt.out))
		if tt.bad {
			if err == nil {
				t.Errorf("%q is %+v", tt.out, a)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.out, err)
		}
		if diff := cmp.Diff(tt.info, a.info); diff != "" || string(a.content) != tt.content || (a.sum != nil) != tt.sum {
			t.Errorf("%q: content %q, sum %x (-want +got)\n%s", tt.out, a.content, a.sum, diff)
		}
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fs.FileMode{
		"c1ed": fs.ModeSocket | 0o755, "a1ff": fs.ModeSymlink | 0o777, "61b0": fs.ModeDevice | 0o660,
		"2190": fs.ModeDevice | fs.ModeCharDevice | 0o620, "11a4": fs.ModeNamedPipe | 0o644, "41ed": fs.ModeDir | 0o755,
		"srwxr-xr-x": fs.ModeSocket | 0o755, "lrwxrwxrwx": fs.ModeSymlink | 0o777, "brw-rw----": fs.ModeDevice | 0o660,
		"crw--w----": fs.ModeDevice | fs.ModeCharDevice | 0o620, "prw-r--r--": fs.ModeNamedPipe | 0o644,
		"-rwsr-sr-t+": 0o755 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
		"---S--S--T":  fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
	} {
		if got, ok := parseMode(text); !ok || got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// Modes come back from the number that they are sent as.
func TestOctal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(0, 0o7777).Draw(t, "mode")
		m := conn.PermOf(n)
		back, err := strconv.ParseUint(octal(m), 8, 32)
		if err != nil || uint32(back) != n {
			t.Errorf("%o is sent as %s: %v", n, octal(m), err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("81a4 5 17 0 7 + \nabcde"))
	f.Add([]byte("drwxr-xr-x 5 - 0 7 - " + strings.Repeat("ab", 32) + "\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		a, err := parse(out)
		if err != nil {
			return
		}
		if a.info.Size < 0 || a.info.UID < 0 || a.info.GID < 0 || a.sum != nil && len(a.sum) != 32 {
			t.Errorf("%q is %+v", out, a)
		}
	})
}
