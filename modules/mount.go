package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Names of what differs in a mount, in the order in which it is done.
const (
	fieldUnmount = "Unmount"
	fieldEntry   = "Entry"
	fieldMount   = "Mount"
	fieldRemount = "Remount"
)

const (
	fstabPath = "/etc/fstab"
	// fstypeSwap is the type of a swap space, which is mounted nowhere.
	fstypeSwap = "swap"
	// maxMountText is the length of the longest field, in bytes: that of a path.
	maxMountText = 4095
)

// mount is the mount module, for Linux. It ensures that a file system has its entry
// in /etc/fstab, under its mount point, and is mounted, or that it has none and is
// not. It mounts by the entry, makes the mount point when it is missing, mounts anew
// when source or fstype change, and remounts when options do. When mounting fails,
// /etc/fstab is put back as it was; a mount point that was made stays.
//
// The result has, after a change, path, source and mounted.
type mount struct {
	// Path is the absolute path of the mount point. It is required, except for swap
	// space, which has none.
	Path hostPath `yaml:"path"`
	// Source is what to mount: a device, UUID=…, LABEL=…, HOST:/PATH, the directory
	// that options: [bind] shows elsewhere, or tmpfs. It is required, except with
	// remove of what has a path.
	Source mountWord `yaml:"source"`
	// Fstype is the type of the file system: ext4, nfs, tmpfs, swap, none for a bind
	// mount. It is required, except with remove.
	Fstype mountWord `yaml:"fstype"`
	// Options are the mount options, one in each item of the list. They are
	// [defaults] when they are not given.
	Options []mountOption `yaml:"options"`
	// Dump is the fifth field of the entry, for dump. It is 0 when it is not given.
	Dump uint8 `yaml:"dump"`
	// Pass is the sixth field of the entry: in which round fsck looks at the file
	// system at boot, 1 for the root, 2 for others, 0 for not at all. It is 0 when it
	// is not given.
	Pass uint8 `yaml:"pass"`
	// Mounted says whether the file system is mounted now. It is true when it is not
	// given; false unmounts it and keeps the entry.
	Mounted *bool `yaml:"mounted"`
	// Remove unmounts the file system and takes its entry out. The mount point stays.
	// Of the other parameters only path goes with it, or for swap space fstype and
	// source.
	Remove bool `yaml:"remove"`

	fstab etcFile
	after string // what the table shall hold
	steps []string
	stack int // how many file systems are mounted there, one over the other
}

// mountWord is a field of an entry in /etc/fstab.
type mountWord string

// UnmarshalNode takes a line of text that is no option of a program.
func (w *mountWord) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || n.Value[0] == '-' || !isPlain(n.Value) || len(n.Value) > maxMountText {
		return f.Errorf(n, "must be one line of text of at most %d bytes that does not begin with a dash", maxMountText)
	}
	*w = mountWord(n.Value)
	return nil
}

// mountOption is one option of a mount.
type mountOption string

// UnmarshalNode takes a line of text without a comma.
func (o *mountOption) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.Contains(n.Value, ",") || !isPlain(n.Value) || len(n.Value) > maxMountText {
		return f.Errorf(n, "must be one option of at most %d bytes, without a comma: write several as items of the list", maxMountText)
	}
	*o = mountOption(n.Value)
	return nil
}

// Validate checks what is missing, and what does not go together.
func (m *mount) Validate() error {
	p, swap := string(m.Path), m.Fstype == fstypeSwap
	switch {
	case swap && p != "":
		return errors.New("swap space has no path: leave it out")
	case !swap && p == "":
		return errors.New("path is missing")
	case p != "" && (path.Clean(p) != p || !isPlain(p) || len(p) > maxMountText):
		return fmt.Errorf("path must be one line of at most %d bytes, without //, . and .. in it", maxMountText)
	case m.Source == "" && (swap || !m.Remove):
		return errors.New("source is missing")
	case m.Remove && (m.Options != nil || m.Mounted != nil || m.Dump != 0 || m.Pass != 0 || !swap && (m.Source != "" || m.Fstype != "")):
		return errors.New("remove goes with no other parameter than path, or for swap space fstype and source")
	case m.Fstype == "" && !m.Remove:
		return errors.New("fstype is missing")
	}
	return nil
}

// entry is what /etc/fstab shall hold.
func (m *mount) entry() fstabEntry {
	e := fstabEntry{source: string(m.Source), path: string(m.Path), fstype: string(m.Fstype), dump: uint(m.Dump), pass: uint(m.Pass)}
	if e.path == "" {
		e.path = "none"
	}
	for _, o := range m.Options {
		e.options = append(e.options, string(o))
	}
	if len(e.options) == 0 {
		e.options = []string{"defaults"}
	}
	return e
}

// Preview reads ahead what Query reads.
func (m *mount) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *mount) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.fstab, err = readEtc(ctx, h.Conn, fstabPath); err != nil {
		return engine.Plan{}, err
	}
	want := m.entry()
	have := findFstab(m.fstab.text, want)
	if len(have) > 1 && !m.Remove {
		return engine.Plan{}, fmt.Errorf("%s has %d entries for %s: leave one of them", fstabPath, len(have), m.what())
	}
	live, err := m.live(ctx, h.Conn)
	if err != nil {
		return engine.Plan{}, err
	}
	m.after = editFstab(m.fstab.text, want, m.Remove)
	m.steps = m.todo(want, have, live)
	if slices.Contains(m.steps, fieldUnmount) && m.Path == "/" {
		return engine.Plan{}, errors.New("the root file system / cannot be unmounted while the host runs")
	}
	plan := engine.Plan{Need: engine.Modify, Fields: m.steps, Diffs: m.fstab.diff(h, m.after)}
	switch {
	case len(m.steps) == 0:
		plan.Need = engine.Matched
	case m.Remove:
		plan.Need, plan.Fields = engine.Remove, nil
	case len(have) == 0 && m.stack == 0:
		plan.Need, plan.Fields = engine.Create, nil
	}
	return plan, nil
}

// todo returns the steps that are left, in their order.
func (m *mount) todo(want fstabEntry, have []fstabEntry, live mounted) []string {
	var steps []string
	note := func(needed bool, step string) {
		if needed {
			steps = append(steps, step)
		}
	}
	up, wanted := m.stack > 0, !m.Remove && (m.Mounted == nil || *m.Mounted)
	other := up && wanted && m.isOther(want, have, live)
	note(up && (!wanted || other), fieldUnmount)
	note(m.after != m.fstab.text, fieldEntry)
	note(wanted && (!up || other), fieldMount)
	if up && wanted && !other && want.fstype != fstypeSwap {
		changed := len(have) == 1 && !slices.Equal(kernelOptions(have[0].options), kernelOptions(want.options))
		waits := live.fstype == "autofs" // and mounts at the first use
		note(changed || !waits && live.lacks(want.options), fieldRemount)
	}
	return steps
}

// isOther tells whether something else is mounted than what is wanted. What the
// kernel calls a source or a type is not always what fstab does.
func (m *mount) isOther(want fstabEntry, have []fstabEntry, live mounted) bool {
	if len(have) == 1 && (have[0].source != want.source || have[0].fstype != want.fstype) {
		return true
	}
	bound := slices.Contains(want.options, "bind") || slices.Contains(want.options, "rbind")
	return !bound && hasOneName(want.fstype) && hasOneName(live.fstype) && want.fstype != live.fstype
}

// hasOneName tells whether the kernel calls a type what fstab calls it. It does not
// where a program mounts it, as for networks.
func hasOneName(fstype string) bool {
	switch fstype {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "iso9660", "squashfs", "overlay", "tmpfs", "ramfs", "proc", "sysfs":
		return true
	}
	return false
}

// live looks for what is mounted at the path.
func (m *mount) live(ctx context.Context, c conn.Conn) (mounted, error) {
	m.stack = 0
	if m.Fstype == fstypeSwap {
		on, err := swapIsOn(ctx, c, string(m.Source))
		if on {
			m.stack = 1
		}
		return mounted{}, err
	}
	all, err := readMounts(ctx, c)
	if err != nil {
		return mounted{}, err
	}
	there := all.at(string(m.Path))
	if len(there) == 0 {
		// The table has the path without symbolic links.
		out, err := ask(ctx, c, "readlink", "-f", "--", string(m.Path))
		if err != nil {
			return mounted{}, err
		}
		if real := strings.TrimSuffix(string(out.Stdout), "\n"); out.Code == 0 && real != "" {
			there = all.at(real)
		}
	}
	if m.stack = len(there); m.stack == 0 {
		return mounted{}, nil
	}
	return there[m.stack-1], nil
}

func (m *mount) what() string {
	if m.Fstype == fstypeSwap {
		return "swap on " + string(m.Source)
	}
	return string(m.Path)
}

func (m *mount) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	up := m.stack > 0
	for _, step := range m.steps {
		var err error
		switch step {
		case fieldUnmount:
			err = m.unmount(ctx, h.Conn)
			up = false
		case fieldEntry:
			err = writeFstab(ctx, h.Conn, m.fstab, m.after)
		case fieldMount, fieldRemount:
			err = m.mount(ctx, h.Conn, step == fieldRemount)
			up = true
		}
		if err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Data: map[string]any{"path": string(m.Path), "source": string(m.Source), "mounted": up}}, nil
}

func (m *mount) unmount(ctx context.Context, c conn.Conn) error {
	if m.Fstype == fstypeSwap {
		return act(ctx, c, nil, "swapoff", "--", string(m.Source))
	}
	for range m.stack {
		if err := act(ctx, c, nil, "umount", "--", string(m.Path)); err != nil {
			return err
		}
	}
	return nil
}

// mount mounts by the entry, and puts the table back as it was when that fails: a
// host must not boot with what could not be mounted.
func (m *mount) mount(ctx context.Context, c conn.Conn, again bool) error {
	err := m.mountNow(ctx, c, again)
	if err == nil || m.after == m.fstab.text {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if backErr := writeFstab(ctx, c, m.fstab, m.fstab.text); backErr != nil {
		return errors.Join(err, fmt.Errorf("putting %s back as it was: %w", fstabPath, backErr))
	}
	return err
}

func (m *mount) mountNow(ctx context.Context, c conn.Conn, again bool) error {
	switch {
	case m.Fstype == fstypeSwap:
		return swapOn(ctx, c, m.entry())
	case again:
		return act(ctx, c, nil, "mount", "-o", "remount", "--", string(m.Path))
	}
	if _, err := c.Stat(ctx, string(m.Path)); errors.Is(err, fs.ErrNotExist) {
		if err := c.Mkdir(ctx, string(m.Path), conn.Attr{}); err != nil {
			return fmt.Errorf("making the mount point: %w", err)
		}
	} else if err != nil {
		return err
	}
	return act(ctx, c, nil, "mount", "--", string(m.Path))
}

// writeFstab writes the table and tells systemd, where it runs: it has made units of
// the old one, and may unmount what does not fit them.
func writeFstab(ctx context.Context, c conn.Conn, f etcFile, text string) error {
	if err := f.write(ctx, c, text); err != nil {
		return err
	}
	booted, err := hasSystemd(ctx, c)
	if err != nil || !booted {
		return err
	}
	return act(ctx, c, nil, "systemctl", "daemon-reload")
}
