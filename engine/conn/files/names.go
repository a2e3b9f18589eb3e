package files

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// HostNames asks the host for names and ids, and remembers the answers until
// [HostNames.Forget]. It is safe for concurrent use.
type HostNames struct {
	run func(context.Context, conn.Cmd) (conn.Output, error)

	mu    sync.Mutex
	ids   map[entry]int
	names map[entry]string
}

// entry is a name, or an id as text, in one of the host's databases.
type entry struct{ database, key string }

const (
	users  = "passwd"
	groups = "group"
)

// NewHostNames returns the names of the host that run runs commands on.
func NewHostNames(run func(context.Context, conn.Cmd) (conn.Output, error)) *HostNames {
	return &HostNames{run: run, ids: map[entry]int{}, names: map[entry]string{}}
}

// Forget drops what is known, because a command may have changed it. Root stays.
func (n *HostNames) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, id := range n.ids {
		if id != 0 {
			delete(n.ids, k)
		}
	}
	for k := range n.names {
		if k.key != "0" {
			delete(n.names, k)
		}
	}
}

// UserID implements [Names].
func (n *HostNames) UserID(ctx context.Context, name string) (int, error) {
	return n.id(ctx, users, "user", name)
}

// GroupID implements [Names].
func (n *HostNames) GroupID(ctx context.Context, name string) (int, error) {
	return n.id(ctx, groups, "group", name)
}

func (n *HostNames) id(ctx context.Context, database, noun, name string) (int, error) {
	if id, ok, err := Numeric(name); ok || err != nil {
		return id, err
	}
	key := entry{database, name}
	n.mu.Lock()
	id, ok := n.ids[key]
	n.mu.Unlock()
	if ok {
		return id, nil
	}
	found, err := n.ask(ctx, key)
	if err != nil {
		return 0, err
	}
	for _, r := range found {
		if r.database == database && r.name == name {
			return r.id, nil
		}
	}
	return 0, fmt.Errorf("the host has no %s %q", noun, name)
}

// Fill implements [Names].
func (n *HostNames) Fill(ctx context.Context, fi *conn.FileInfo, by Namer) error {
	owner := entry{users, strconv.Itoa(fi.UID)}
	group := entry{groups, strconv.Itoa(fi.GID)}
	fi.Owner, fi.Group = owner.key, group.key
	var missing []entry
	n.mu.Lock()
	for _, w := range []struct {
		of   entry
		name *string
	}{{owner, &fi.Owner}, {group, &fi.Group}} {
		if name, ok := n.names[w.of]; ok {
			*w.name = name
		} else {
			missing = append(missing, w.of)
		}
	}
	n.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	found, err := n.look(ctx, by, missing)
	for _, r := range found {
		switch {
		case r.database == users && r.id == fi.UID:
			fi.Owner = r.name
		case r.database == groups && r.id == fi.GID:
			fi.Group = r.name
		}
	}
	return err
}

// look finds out the names of ids, from by if that can tell.
func (n *HostNames) look(ctx context.Context, by Namer, missing []entry) ([]record, error) {
	if by == nil {
		return n.askAll(ctx, missing)
	}
	var found []record
	var uids, gids []int
	for _, m := range missing {
		id, err := strconv.Atoi(m.key)
		if err != nil {
			return nil, fmt.Errorf("%q is no id: %w", m.key, fs.ErrInvalid)
		}
		found = append(found, record{m.database, m.key, id})
		if m.database == users {
			uids = append(uids, id)
		} else {
			gids = append(gids, id)
		}
	}
	owners, teams, ok, err := by.NamesOf(ctx, uids, gids)
	if err != nil {
		return nil, err
	}
	if !ok || len(owners) != len(uids) || len(teams) != len(gids) {
		return n.askAll(ctx, missing)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, r := range found {
		names := &owners
		if r.database == groups {
			names = &teams
		}
		if name := (*names)[0]; name != "" {
			found[i].name = name
			if r.id == 0 {
				n.ids[entry{r.database, name}] = 0
			}
		}
		*names = (*names)[1:]
		// That there is no name is worth remembering too.
		n.names[missing[i]] = found[i].name
	}
	return found, nil
}

// askAll is ask; it remembers which ids have no name as well.
func (n *HostNames) askAll(ctx context.Context, missing []entry) ([]record, error) {
	found, err := n.ask(ctx, missing...)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range missing {
		if _, ok := n.names[m]; !ok {
			n.names[m] = m.key
		}
	}
	return found, nil
}

// askScript is started with pairs of a database and a key. It prints the entries
// found, each after the name of its database. Hosts without getent (macOS) have
// id.
const askScript = `while [ $# -gt 0 ]; do
  if command -v getent >/dev/null 2>&1; then
    e=$(getent "$1" -- "$2" 2>/dev/null || getent "$1" "$2" 2>/dev/null) && printf '%s\n' "$1:$e"
  elif [ "$1" = passwd ]; then
    e=$(id -nu -- "$2" 2>/dev/null) && printf '%s\n' "$1:$e:x:$(id -u -- "$2")"
  fi
  shift 2
done`

// record is an entry that the host has.
type record struct {
	database, name string
	id             int
}

// ask looks entries up with one command, and remembers them. One that the host
// does not have is not an error here.
func (n *HostNames) ask(ctx context.Context, entries ...entry) ([]record, error) {
	argv := []string{"/bin/sh", "-c", askScript, "jet"}
	for _, e := range entries {
		if strings.ContainsAny(e.key, "\x00\n:") || strings.HasPrefix(e.key, "-") || e.key == "" {
			return nil, fmt.Errorf("%q is no name of a user or group: %w", e.key, fs.ErrInvalid)
		}
		argv = append(argv, e.database, e.key)
	}
	out, err := n.run(ctx, conn.Cmd{Argv: argv, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("ask for users and groups: %w", err)
	}
	var found []record
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(string(out.Stdout)) {
		r, ok := parse(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		found = append(found, r)
		n.ids[entry{r.database, r.name}] = r.id
		n.names[entry{r.database, strconv.Itoa(r.id)}] = r.name
	}
	return found, nil
}

// parse reads a line such as passwd:root:x:0:….
func parse(line string) (record, bool) {
	fields := strings.SplitN(line, ":", 5)
	if len(fields) < 4 {
		return record{}, false
	}
	id, err := strconv.Atoi(fields[3])
	return record{fields[0], fields[1], id}, err == nil
}

// Numeric reports whether name is a decimal id, and which. A number too large
// for an id is an error.
func Numeric(name string) (id int, ok bool, err error) {
	if name == "" || strings.Trim(name, "0123456789") != "" {
		return 0, false, nil
	}
	v, err := strconv.ParseUint(name, 10, 32)
	if err != nil || v >= 1<<32-1 {
		return 0, false, fmt.Errorf("id %s is out of range: %w", name, fs.ErrInvalid)
	}
	return int(v), true, nil
}
