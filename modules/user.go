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

// user is the user module. It is for Linux, and changes local accounts by useradd,
// usermod and userdel. A new account has no password.
type user struct {
	// User is the name of the account.
	User accountName `yaml:"user,required"`
	// UID is the number of the account. When it is not given, a new account gets
	// the next free one.
	UID *uint32 `yaml:"uid"`
	// GID is the account's own group, by name or number, which must exist.
	GID accountID `yaml:"gid"`
	// Groups are the groups that the account is a member of besides its own:
	// these and no others, unless append is true. They must exist.
	Groups []accountName `yaml:"groups"`
	// Append only adds groups, and leaves those that are not listed.
	Append bool `yaml:"append"`
	// CreateHome makes the home directory of a new account. It is true when it is
	// not given.
	CreateHome *bool `yaml:"create_home"`
	// CreateUserGroup makes a group of the account's name for a new account. It
	// is true when it is not given, and false with gid.
	CreateUserGroup *bool `yaml:"create_user_group"`
	// Gecos is the account's full name, or what else belongs there.
	Gecos *field `yaml:"gecos"`
	// Home is the absolute path of the home directory. That of an existing
	// account is set, not moved.
	Home hostPath `yaml:"home"`
	// Shell is the absolute path of the login shell.
	Shell hostPath `yaml:"shell"`
	// System makes a new account one of the system's: a low number and no aging.
	// The number is the one of uid if that is given.
	System bool `yaml:"system"`
	// Remove ensures that the account does not exist.
	Remove bool `yaml:"remove"`
	// Cleanup removes the home directory and the mail along with the account.
	Cleanup bool `yaml:"cleanup"`

	have userEntry
}

// Validate checks parameters that exclude each other.
func (m *user) Validate() error {
	switch {
	case m.Cleanup && !m.Remove:
		return errors.New("cleanup goes with remove only")
	case m.Remove && (m.UID != nil || m.GID != "" || m.Groups != nil || m.Gecos != nil || m.Shell != "" || m.Home != ""):
		return errors.New("remove goes with no other parameter than user and cleanup")
	case m.Append && m.Groups == nil:
		return errors.New("append needs groups to add")
	case m.GID != "" && m.CreateUserGroup != nil && *m.CreateUserGroup:
		return errors.New("create_user_group makes the account's own group, and gid names another: give one of them")
	}
	for name, p := range map[string]hostPath{"home": m.Home, "shell": m.Shell} {
		if strings.ContainsFunc(string(p), noField) {
			return fmt.Errorf("%s %q holds a colon or a control character, which no field of an account can", name, p)
		}
	}
	return nil
}

// userEntry is an account as the host knows it.
type userEntry struct {
	uid, gid, gecos, home, shell string
	// group is the name of the account's own group, groups are all of them.
	group  string
	groups []string
}

// userScript prints the line of an account, the name of its own group and those
// of all its groups; it is started with the account's name and exits with 4 if
// there is no such account.
const userScript = `p=$(getent passwd "$1")
case $? in
0) ;;
2) exit 4 ;;
*) exit 5 ;;
esac
printf '%s\n' "$p"
id -gn "$1" && id -Gn "$1"`

// findUser looks an account up; ok is false if there is none.
func findUser(ctx context.Context, c conn.Conn, name string) (e userEntry, ok bool, err error) {
	argv := []string{"/bin/sh", "-c", userScript, "jet", name}
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return userEntry{}, false, err
	}
	switch out.Code {
	case 0:
	case 4:
		return userEntry{}, false, nil
	default:
		return userEntry{}, false, fmt.Errorf("looking for user %s: %w", name, toolError([]string{"getent", "passwd", name}, out))
	}
	printed := lines(out.Stdout)
	if len(printed) != 3 || strings.Count(printed[0], ":") != 6 {
		return userEntry{}, false, fmt.Errorf("reading user %s: the host printed %q", name, out.Stdout)
	}
	f := strings.Split(printed[0], ":")
	return userEntry{
		uid: f[2], gid: f[3], gecos: f[4], home: f[5], shell: f[6],
		group: printed[1], groups: strings.Fields(printed[2]),
	}, true, nil
}

// Preview reads ahead what Query reads.
func (m *user) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *user) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	have, ok, err := findUser(ctx, h.Conn, string(m.User))
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
	if fields := m.diff(); len(fields) > 0 {
		return engine.Plan{Need: engine.Modify, Fields: fields}, nil
	}
	return engine.Plan{Need: engine.Matched}, nil
}

// diff names what the account does not have.
func (m *user) diff() []string {
	var fields []string
	note := func(differs bool, name string) {
		if differs {
			fields = append(fields, name)
		}
	}
	note(m.UID != nil && m.have.uid != m.uid(), fieldUID)
	note(m.GID != "" && string(m.GID) != m.have.gid && string(m.GID) != m.have.group, fieldGID)
	note(m.Gecos != nil && string(*m.Gecos) != m.have.gecos, fieldGecos)
	note(m.Home != "" && string(m.Home) != m.have.home, fieldHome)
	note(m.Shell != "" && string(m.Shell) != m.have.shell, fieldShell)
	note(m.Groups != nil && !m.hasGroups(), fieldGroups)
	return fields
}

// hasGroups compares the groups; the account's own does not count.
func (m *user) hasGroups() bool {
	if m.Append {
		return len(missing(m.Groups, m.have.groups)) == 0
	}
	for _, g := range m.have.groups {
		if g != m.have.group && !slices.Contains(m.Groups, accountName(g)) {
			return false
		}
	}
	return len(missing(m.Groups, m.have.groups)) == 0
}

func (m *user) uid() string { return strconv.FormatUint(uint64(*m.UID), 10) }

func (m *user) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	switch p.Need {
	case engine.Remove:
		argv := []string{"userdel"}
		if m.Cleanup {
			argv = append(argv, "-r")
		}
		return engine.Result{}, act(ctx, h.Conn, nil, append(argv, string(m.User))...)
	case engine.Create:
		return engine.Result{}, act(ctx, h.Conn, nil, m.create()...)
	default:
		return engine.Result{}, act(ctx, h.Conn, nil, m.modify(p.Fields)...)
	}
}

// create is the command that makes the account.
func (m *user) create() []string {
	argv := []string{"useradd"}
	if m.CreateHome == nil || *m.CreateHome {
		argv = append(argv, "-m")
	} else {
		argv = append(argv, "-M")
	}
	switch {
	case m.GID != "":
		argv = append(argv, "-N", "-g", string(m.GID))
	case m.CreateUserGroup == nil || *m.CreateUserGroup:
		argv = append(argv, "-U")
	default:
		argv = append(argv, "-N")
	}
	if m.System {
		argv = append(argv, "-r")
	}
	if m.UID != nil {
		argv = append(argv, "-u", m.uid())
	}
	if len(m.Groups) > 0 {
		argv = append(argv, "-G", list(m.Groups))
	}
	if m.Gecos != nil {
		argv = append(argv, "-c", string(*m.Gecos))
	}
	if m.Home != "" {
		argv = append(argv, "-d", string(m.Home))
	}
	if m.Shell != "" {
		argv = append(argv, "-s", string(m.Shell))
	}
	return append(argv, string(m.User))
}

// modify is the command that changes fields of the account.
func (m *user) modify(fields []string) []string {
	argv := []string{"usermod"}
	for _, f := range fields {
		switch f {
		case fieldUID:
			argv = append(argv, "-u", m.uid())
		case fieldGID:
			argv = append(argv, "-g", string(m.GID))
		case fieldGecos:
			argv = append(argv, "-c", string(*m.Gecos))
		case fieldHome:
			argv = append(argv, "-d", string(m.Home))
		case fieldShell:
			argv = append(argv, "-s", string(m.Shell))
		case fieldGroups:
			if m.Append {
				argv = append(argv, "-a")
			}
			argv = append(argv, "-G", list(m.Groups))
		}
	}
	return append(argv, string(m.User))
}
