package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// sshFile is a file of the SSH programs that is changed in part: one in the .ssh
// directory of an account, or one at a path.
//
// The account's owner can put symbolic links where the file or its directory are
// expected, to have a task that runs as root read or write elsewhere. So links are
// followed only to what the account owns already, unless the task runs as the account
// itself. The file is always written anew: its attributes are never changed in place,
// where it may be a second name of another file.
type sshFile struct {
	// user is the account; empty for a file that is nobody's own.
	user accountName
	// name is the file's name in the directory .ssh, path its path where the task
	// says so.
	name string
	path filePath
	// remove finds nothing to do where there is no file.
	remove bool
	// private gives a file that is there, and the directory, to the account alone.
	private bool

	account userEntry
	dir     string         // the directory .ssh, if that is where the file is
	dirHad  *conn.FileInfo // nil when there is no directory
	dirFix  []string       // what differs of it
	file    edit
}

// query says what is to be done so that the file holds what change makes of its text.
func (f *sshFile) query(ctx context.Context, h *engine.Host, change func(string) (string, error)) (engine.Plan, error) {
	f.file = edit{path: f.path, create: !f.remove, remove: f.remove}
	if f.path == "" {
		account, ok, err := findUser(ctx, h.Conn, string(f.user))
		switch {
		case err != nil:
			return engine.Plan{}, err
		case !ok && f.remove:
			return engine.Plan{Need: engine.Matched}, nil
		case !ok:
			// In check mode an earlier task may be the one that would make it.
			return engine.Plan{Need: engine.Create}, nil
		case !strings.HasPrefix(account.home, "/"):
			return engine.Plan{}, fmt.Errorf("user %s has no home directory", f.user)
		}
		f.account, f.dir = account, path.Join(account.home, ".ssh")
		f.file.path = filePath(path.Join(f.dir, f.name))
		if err := f.lookAtDir(ctx, h.Conn); err != nil {
			return engine.Plan{}, err
		}
	}
	if err := f.checkLink(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	if f.own() {
		f.file.attributes = f.attributes()
	}
	plan, err := f.file.query(ctx, h, change)
	if err != nil || plan.Need == engine.Create || len(f.dirFix) == 0 {
		return plan, err
	}
	plan.Need = engine.Modify
	for _, field := range []string{fieldMode, fieldOwner} {
		if slices.Contains(f.dirFix, field) && !slices.Contains(plan.Fields, field) {
			plan.Fields = append(plan.Fields, field)
		}
	}
	return plan, nil
}

// own tells whether the file and its directory are to be the account's alone.
func (f *sshFile) own() bool { return f.private && f.dir != "" && !f.remove }

// attributes are those of a file in the directory .ssh.
func (f *sshFile) attributes() attributes {
	return attributes{Owner: f.account.uid, Mode: engine.Mode{Given: true, Perm: 0o600}}
}

// lookAtDir looks at the directory .ssh.
func (f *sshFile) lookAtDir(ctx context.Context, c conn.Conn) error {
	var err error
	if f.dirHad, err = lstat(ctx, c, f.dir); err != nil || f.dirHad == nil {
		return err
	}
	link := f.dirHad.Mode.Type() == fs.ModeSymlink
	if link {
		if f.dirHad, err = f.follow(ctx, c, f.dir); err != nil {
			return err
		}
	}
	if !f.dirHad.Mode.IsDir() {
		return fmt.Errorf("%s is not a directory", f.dir)
	}
	if f.own() && !link {
		f.dirFix = attributes{Owner: f.account.uid, Mode: engine.Mode{Given: true, Perm: 0o700}}.diff(*f.dirHad)
	}
	return nil
}

// checkLink refuses a file that is a link to what is not the account's, or that is
// somebody else's.
func (f *sshFile) checkLink(ctx context.Context, c conn.Conn) error {
	if f.user == "" {
		return nil
	}
	info, err := lstat(ctx, c, string(f.file.path))
	switch {
	case err != nil || info == nil:
		return err
	case info.Mode.Type() == fs.ModeSymlink:
		_, err = f.follow(ctx, c, string(f.file.path))
		return err
	case f.dir != "" && info.UID != 0 && !f.owns(*info):
		return fmt.Errorf("%s belongs to user %s, neither to %s nor to root", f.file.path, info.Owner, f.user)
	}
	return nil
}

// follow describes what a link leads to, if the account could as well have been there
// without it.
func (f *sshFile) follow(ctx context.Context, c conn.Conn, name string) (*conn.FileInfo, error) {
	info, err := c.Stat(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is a symbolic link that leads nowhere", name)
	case err != nil:
		return nil, err
	case c.User() != string(f.user) && !f.owns(info):
		return nil, fmt.Errorf("%s is a symbolic link to what does not belong to user %s, and is not followed", name, f.user)
	}
	return &info, nil
}

// owns tells whether a file is the account's.
func (f *sshFile) owns(info conn.FileInfo) bool {
	return info.Owner == string(f.user) || f.account.uid == strconv.Itoa(info.UID)
}

// apply carries out the plan that query made.
func (f *sshFile) apply(ctx context.Context, h *engine.Host, p engine.Plan) error {
	if f.file.path == "" {
		return fmt.Errorf("there is no user %s", f.user)
	}
	if err := f.makeDir(ctx, h.Conn); err != nil {
		return err
	}
	a := f.file.attributes
	if f.dir != "" {
		if p.Need == engine.Create {
			a = f.attributes()
			a.Group = f.account.gid
		}
		// Should the directory lead elsewhere by now, what is written there is the
		// account's own, and nothing that others trust.
		a.Owner = f.account.uid
	}
	return writeFile(ctx, h.Conn, string(f.file.path), strings.NewReader(f.file.text), a)
}

// makeDir makes the directory .ssh, or gives it to the account alone.
func (f *sshFile) makeDir(ctx context.Context, c conn.Conn) error {
	if f.dir == "" || f.dirHad != nil && len(f.dirFix) == 0 {
		return nil
	}
	mode := fs.FileMode(0o700)
	a := conn.Attr{Mode: &mode, Owner: f.account.uid, NoFollow: true}
	if f.dirHad == nil {
		if _, err := c.Stat(ctx, f.account.home); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the home directory %s of user %s does not exist", f.account.home, f.user)
		}
		if err := c.Mkdir(ctx, f.dir, conn.Attr{Mode: &mode}); err != nil {
			return err
		}
		a.Group = f.account.gid
	}
	// Not by Mkdir, which would follow a link that took the directory's place.
	return c.SetAttr(ctx, f.dir, a)
}
