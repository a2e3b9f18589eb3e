package modules

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// mounted is a mounted file system.
type mounted struct {
	path, fstype, source string
	// options are those of the mount, not of the file system.
	options []string
}

// mounts are the mounted file systems, in the order in which they were mounted.
type mounts []mounted

// readMounts reads what is mounted where.
func readMounts(ctx context.Context, c conn.Conn) (mounts, error) {
	text, err := readProc(ctx, c, "/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("looking for what is mounted: %w", err)
	}
	return parseMounts(text), nil
}

// parseMounts reads the kernel's table: ID PARENT DEVICE ROOT PATH OPTIONS, any
// number of tags, a dash, and TYPE SOURCE OPTIONS.
func parseMounts(text string) mounts {
	var out mounts
	for l := range strings.Lines(text) {
		at, of, ok := strings.Cut(strings.TrimSpace(l), " - ")
		a, b := strings.Split(at, " "), strings.Split(of, " ")
		if !ok || len(a) < 6 || len(b) < 2 {
			continue
		}
		out = append(out, mounted{
			path: unescapeOctal(a[4]), options: strings.Split(a[5], ","),
			fstype: unescapeOctal(b[0]), source: unescapeOctal(b[1]),
		})
	}
	return out
}

// at returns what is mounted at a path: the last one is on top of the others.
func (m mounts) at(path string) mounts {
	var out mounts
	for _, e := range m {
		if e.path == path {
			out = append(out, e)
		}
	}
	return out
}

// escapeOctal writes a field of fstab: blanks would end it.
func escapeOctal(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r', '\\':
			fmt.Fprintf(&b, `\%03o`, c)
		case '#':
			if i == 0 { // else the line is a comment
				b.WriteString(`\043`)
				continue
			}
			fallthrough
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescapeOctal reads what escapeOctal and the kernel write.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
