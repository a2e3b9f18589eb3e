package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// boot tells one start of a host from another. Members that the host does not tell
// are empty.
type boot struct {
	// id is that of the kernel's boot.
	id string
	// first says when the first process began, in the kernel's ticks. It is that of
	// the container in one, where the id stays the same.
	first string
	// said is what tools say, where there is no /proc.
	said string
}

// follows tells whether b is another start than before.
func (b boot) follows(before boot) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differ(b.id, before.id) || differ(b.first, before.first) || differ(b.said, before.said)
}

// readBoot asks the host about its start.
func readBoot(ctx context.Context, c conn.Conn) (boot, error) {
	const most = 4 << 10
	var b boot
	id, err := readAll(ctx, c, "/proc/sys/kernel/random/boot_id", most)
	if err != nil && !hidden(err) {
		return b, fmt.Errorf("asking the host for its boot: %w", err)
	}
	b.id = strings.TrimSpace(string(id))
	stat, err := readAll(ctx, c, "/proc/1/stat", most)
	if err != nil && !hidden(err) {
		return b, fmt.Errorf("asking the host for its boot: %w", err)
	}
	b.first = startTime(string(stat))
	if b != (boot{}) {
		return b, nil
	}
	for _, argv := range [][]string{{"sysctl", "-n", "kern.boottime"}, {"uptime", "-s"}, {"who", "-b"}} {
		out, err := c.Run(ctx, conn.Cmd{Argv: argv})
		if err != nil {
			return b, fmt.Errorf("asking the host for its boot: %w", err)
		}
		if b.said = strings.TrimSpace(text(out.Stdout)); out.Code == 0 && b.said != "" {
			return b, nil
		}
	}
	return b, errors.New("the host does not tell when it was started, neither in /proc nor by sysctl, uptime and who")
}

// hidden tells whether err means that there is nothing to read.
func hidden(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// startTime returns when a process began, by its /proc/PID/stat.
func startTime(stat string) string {
	const began = 19 // counted from what follows the name, which may hold anything
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return ""
	}
	if f := strings.Fields(stat[end+1:]); len(f) > began {
		return f[began]
	}
	return ""
}
