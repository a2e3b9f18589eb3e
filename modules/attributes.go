package modules

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// permBits are the bits of a file's mode that a Mode parameter speaks of.
const permBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// Names of what differs, in the order they are reported.
const (
	fieldContent = "Content"
	fieldMode    = "Mode"
	fieldOwner   = "Owner"
	fieldGroup   = "Group"
)

// attributes is the parameter of that name: who owns a file, and what its mode
// is. Members that are not given are left as they are; on a new file they are
// the user's the task runs as, with mode 0o644 (directories 0o755).
type attributes struct {
	// Owner is the user that owns the file, by name or number.
	Owner string `yaml:"owner"`
	// Group is the file's group, by name or number.
	Group string `yaml:"group"`
	// Mode is the permission bits, such as 0o644.
	Mode engine.Mode `yaml:"mode"`
}

func (a attributes) given() bool { return a != attributes{} }

// attr returns the attributes as the connection takes them.
func (a attributes) attr() conn.Attr {
	out := conn.Attr{Owner: a.Owner, Group: a.Group}
	if a.Mode.Given {
		out.Mode = &a.Mode.Perm
	}
	return out
}

// diff names the attributes that info does not have.
func (a attributes) diff(info conn.FileInfo) []string {
	var fields []string
	if a.Mode.Given && info.Mode&permBits != a.Mode.Perm {
		fields = append(fields, fieldMode)
	}
	if !sameAccount(a.Owner, info.Owner, info.UID) {
		fields = append(fields, fieldOwner)
	}
	if !sameAccount(a.Group, info.Group, info.GID) {
		fields = append(fields, fieldGroup)
	}
	return fields
}

// sameAccount tells whether want, a name or a number, is the account that has
// this name and id. An empty want is any account.
func sameAccount(want, name string, id int) bool {
	return want == "" || want == name || want == strconv.Itoa(id)
}

// drift is what differs in a tree.
type drift struct {
	// paths are the files to change, what is in a directory before the
	// directory itself: a mode that shuts a directory must not shut us out.
	paths  []string
	fields []string
}

func (d *drift) add(path string, fields []string) {
	if len(fields) == 0 {
		return
	}
	d.paths = append(d.paths, path)
	have := slices.Concat(d.fields, fields)
	d.fields = nil
	for _, f := range []string{fieldMode, fieldOwner, fieldGroup} {
		if slices.Contains(have, f) {
			d.fields = append(d.fields, f)
		}
	}
}

// walk adds to d what differs below dir. Symbolic links are left out, since
// changing one changes the file it names, which may be anywhere.
func (a attributes) walk(ctx context.Context, c conn.Conn, dir string, d *drift) error {
	names, err := c.ReadDir(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since it was looked at
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		p := dir + "/" + name
		info, err := c.Lstat(ctx, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // likewise
		}
		if err != nil {
			return err
		}
		if info.Mode&fs.ModeSymlink != 0 {
			continue
		}
		if info.Mode.IsDir() {
			if err := a.walk(ctx, c, p, d); err != nil {
				return err
			}
		}
		d.add(p, a.diff(info))
	}
	return nil
}
