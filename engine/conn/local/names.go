package local

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// names asks this machine's user and group databases, afresh every time.
type names struct{}

var _ files.Names = names{}

func (names) UserID(_ context.Context, name string) (int, error) {
	if id, ok, err := files.Numeric(name); ok || err != nil {
		return id, err
	}
	u, err := user.Lookup(name)
	if err != nil {
		if _, ok := errors.AsType[user.UnknownUserError](err); ok {
			return 0, fmt.Errorf("this machine has no user %q", name)
		}
		return 0, fmt.Errorf("look up user %q: %w", name, err)
	}
	return strconv.Atoi(u.Uid)
}

func (names) GroupID(_ context.Context, name string) (int, error) {
	if id, ok, err := files.Numeric(name); ok || err != nil {
		return id, err
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		if _, ok := errors.AsType[user.UnknownGroupError](err); ok {
			return 0, fmt.Errorf("this machine has no group %q", name)
		}
		return 0, fmt.Errorf("look up group %q: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

func (names) Fill(_ context.Context, fi *conn.FileInfo, _ files.Namer) error {
	fi.Owner, fi.Group = strconv.Itoa(fi.UID), strconv.Itoa(fi.GID)
	if u, err := user.LookupId(fi.Owner); err == nil {
		fi.Owner = u.Username
	}
	if g, err := user.LookupGroupId(fi.Group); err == nil {
		fi.Group = g.Name
	}
	return nil
}
