package modules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// swapDevice is where udev links to a device that is named by what is written on it.
func swapDevice(source string) string {
	tag, name, ok := strings.Cut(source, "=")
	if !ok {
		return source
	}
	switch tag {
	case "UUID", "LABEL", "PARTUUID", "PARTLABEL":
		return "/dev/disk/by-" + strings.ToLower(tag) + "/" + name
	}
	return source
}

// swapIsOn tells whether the kernel swaps to a device or file.
func swapIsOn(ctx context.Context, c conn.Conn, source string) (bool, error) {
	table, err := readProc(ctx, c, "/proc/swaps")
	if err != nil {
		return false, fmt.Errorf("looking for swap space: %w", err)
	}
	device := swapDevice(source)
	// The table has the path without symbolic links.
	out, err := ask(ctx, c, "readlink", "-f", "--", device)
	if err != nil {
		return false, err
	}
	names := []string{device}
	if out.Code == 0 {
		names = append(names, strings.TrimSuffix(string(out.Stdout), "\n"))
	}
	for l := range strings.Lines(table) {
		if f := strings.Fields(l); len(f) > 0 && slices.Contains(names, unescapeOctal(f[0])) {
			return true, nil
		}
	}
	return false, nil
}

// swapOn makes the kernel swap to the source of an entry.
func swapOn(ctx context.Context, c conn.Conn, e fstabEntry) error {
	argv := []string{"swapon"}
	options := slices.DeleteFunc(kernelOptions(e.options), func(o string) bool { return o == "sw" })
	if len(options) > 0 {
		argv = append(argv, "-o", strings.Join(options, ","))
	}
	return act(ctx, c, nil, append(argv, "--", e.source)...)
}
