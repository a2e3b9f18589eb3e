package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// group is the group module. It is for Linux, and changes local groups by groupadd,
// groupmod, gpasswd and groupdel.
type group struct {
	// Group is the name of the group.
	Group accountName `yaml:"group,required"`
	// GID is the number of the group. When it is not given, a new group gets the
	// next free one.
	GID *uint32 `yaml:"gid"`
	// Users are the members of the group: these and no others, unless append is
	// true. They must exist. An empty list leaves the group without members.
	Users []accountName `yaml:"users"`
	// Append only adds users, and leaves members that are not listed.
	Append bool `yaml:"append"`
	// System gives a new group a number below those of ordinary groups. It has no
	// effect with gid.
	System bool `yaml:"system"`
	// Remove ensures that the group does not exist.
	Remove bool `yaml:"remove"`

	have groupEntry
}

// Validate checks that a group to be removed is not described.
func (m *group) Validate() error {
	if m.Remove && (m.GID != nil || m.Users != nil || m.Append || m.System) {
		return errors.New("remove goes with no other parameter than group")
	}
	if m.Append && m.Users == nil {
		return errors.New("append needs users to add")
	}
	return nil
}

// groupEntry is a line of the host's group database.
type groupEntry struct {
	gid     string
	members []string
}

// findGroup looks a group up; ok is false if there is none.
func findGroup(ctx context.Context, c conn.Conn, name string) (e groupEntry, ok bool, err error) {
	argv := []string{"getent", "group", name}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return groupEntry{}, false, err
	}
	switch out.Code {
	case 0:
	case 2: // no such key
		return groupEntry{}, false, nil
	default:
		return groupEntry{}, false, toolError(argv, out)
	}
	fields := strings.Split(strings.TrimRight(text(out.Stdout), "\n"), ":")
	if len(fields) != 4 {
		return groupEntry{}, false, fmt.Errorf("reading group %s: getent printed %q", name, out.Stdout)
	}
	e.gid = fields[2]
	if fields[3] != "" {
		e.members = strings.Split(fields[3], ",")
	}
	return e, true, nil
}

// Preview reads ahead what Query reads.
func (m *group) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *group) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	have, ok, err := findGroup(ctx, h.Conn, string(m.Group))
	switch {
	case err != nil:
		return engine.Plan{}, err
	case !ok && m.Remove:
		return engine.Plan{Need: engine.Matched}, nil
	case !ok:
		return engine.Plan{Need: engine.Create}, nil
	case m.Remove:
		return engine.Plan{Need: engine.Remove}, nil
	}
	m.have = have
	var fields []string
	if m.GID != nil && have.gid != strconv.FormatUint(uint64(*m.GID), 10) {
		fields = append(fields, fieldGID)
	}
	if m.Users != nil && !m.hasUsers() {
		fields = append(fields, fieldUsers)
	}
	if len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

func (m *group) hasUsers() bool {
	if m.Append {
		return len(missing(m.Users, m.have.members)) == 0
	}
	have := slices.Clone(m.have.members)
	slices.Sort(have)
	return strings.Join(slices.Compact(have), ",") == list(m.Users)
}

func (m *group) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	name := string(m.Group)
	switch p.Need {
	case engine.Remove:
		return engine.Result{}, act(ctx, h.Conn, nil, "groupdel", name)
	case engine.Create:
		if err := m.checkUsers(ctx, h.Conn); err != nil {
			return engine.Result{}, err
		}
		argv := []string{"groupadd"}
		if m.GID != nil {
			argv = append(argv, "-g", strconv.FormatUint(uint64(*m.GID), 10))
		} else if m.System {
			argv = append(argv, "-r")
		}
		if err := act(ctx, h.Conn, nil, append(argv, name)...); err != nil || len(m.Users) == 0 {
			return engine.Result{}, err
		}
		return engine.Result{}, m.setUsers(ctx, h)
	}
	if slices.Contains(p.Fields, fieldUsers) {
		if err := m.checkUsers(ctx, h.Conn); err != nil {
			return engine.Result{}, err
		}
	}
	if slices.Contains(p.Fields, fieldGID) {
		gid := strconv.FormatUint(uint64(*m.GID), 10)
		if err := act(ctx, h.Conn, nil, "groupmod", "-g", gid, name); err != nil {
			return engine.Result{}, err
		}
	}
	if slices.Contains(p.Fields, fieldUsers) {
		return engine.Result{}, m.setUsers(ctx, h)
	}
	return engine.Result{}, nil
}

// checkUsers finds out whether the users exist before anything is changed. It is
// not for queries: an earlier task may be the one that makes them.
func (m *group) checkUsers(ctx context.Context, c conn.Conn) error {
	users := m.Users
	if m.Append {
		users = missing(users, m.have.members)
	}
	if len(users) == 0 {
		return nil
	}
	argv := []string{"getent", "passwd"}
	for _, u := range users {
		argv = append(argv, string(u))
	}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return err
	}
	switch out.Code {
	case 0, 2: // 2: not all of them were found
	default:
		return toolError(argv, out)
	}
	var have []string
	for _, l := range lines(out.Stdout) {
		name, _, _ := strings.Cut(l, ":")
		have = append(have, name)
	}
	if lacking := missing(users, have); len(lacking) > 0 {
		return fmt.Errorf("adding users to group %s: there is no user %s", m.Group, list(lacking))
	}
	return nil
}

func (m *group) setUsers(ctx context.Context, h *engine.Host) error {
	if !m.Append {
		return act(ctx, h.Conn, nil, "gpasswd", "-M", list(m.Users), string(m.Group))
	}
	for _, u := range missing(m.Users, m.have.members) {
		if err := act(ctx, h.Conn, nil, "gpasswd", "-a", string(u), string(m.Group)); err != nil {
			return err
		}
	}
	return nil
}
