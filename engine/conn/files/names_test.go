package files_test

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// asked is a host that counts how often it is asked for names, by a command and
// by its own request.
type asked struct {
	commands, requests int
	// knows says whether it answers requests.
	knows bool
}

func (a *asked) run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	a.commands++
	var out strings.Builder
	for i := 4; i+1 < len(c.Argv); i += 2 {
		switch c.Argv[i] + " " + c.Argv[i+1] {
		case "passwd 0", "passwd root":
			out.WriteString("passwd:root:x:0:0::/root:/bin/sh\n")
		case "passwd 7", "passwd ann":
			out.WriteString("passwd:ann:x:7:7::/home/ann:/bin/sh\n")
		case "group 0":
			out.WriteString("group:wheel:x:0:\n")
		}
	}
	return conn.Output{Stdout: []byte(out.String())}, nil
}

func (a *asked) NamesOf(_ context.Context, uids, gids []int) (users, groups []string, ok bool, err error) {
	a.requests++
	if !a.knows {
		return nil, nil, false, nil
	}
	for _, id := range uids {
		users = append(users, map[int]string{0: "root", 7: "ann"}[id])
	}
	for _, id := range gids {
		groups = append(groups, map[int]string{0: "wheel"}[id])
	}
	return users, groups, true, nil
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		knows              bool
		commands, requests int
	}{
		// Once for root, and for others again once they were forgotten.
		"host that is asked by request": {knows: true, requests: 3},
		"host that cannot tell":         {commands: 3, requests: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := &asked{knows: test.knows}
			names := files.NewHostNames(host.run)
			for range 2 {
				for range 2 {
					for id, want := range map[int][2]string{0: {"root", "wheel"}, 7: {"ann", "7"}} {
						fi := conn.FileInfo{UID: id, GID: id}
						if err := names.Fill(t.Context(), &fi, host); err != nil {
							t.Fatal(err)
						}
						if diff := cmp.Diff(want, [2]string{fi.Owner, fi.Group}); diff != "" {
							t.Errorf("names of %d (-want +got):\n%s", id, diff)
						}
					}
				}
				names.Forget()
			}
			if host.commands != test.commands || host.requests != test.requests {
				t.Errorf("%d commands and %d requests, want %d and %d",
					host.commands, host.requests, test.commands, test.requests)
			}
			before := host.commands
			if id, err := names.UserID(t.Context(), "root"); id != 0 || err != nil || host.commands != before {
				t.Errorf("root is %d (%v) after %d commands more", id, err, host.commands-before)
			}
			if id, err := names.UserID(t.Context(), "ann"); id != 7 || err != nil {
				t.Errorf("ann is %d (%v)", id, err)
			}
			for _, bad := range []string{"eve", "-x", "a:b", "99999999999"} {
				if id, err := names.UserID(t.Context(), bad); err == nil {
					t.Errorf("%q is %d", bad, id)
				}
			}
		})
	}
}

func TestAttributesOver(t *testing.T) {
	t.Parallel()
	mode := func(m fs.FileMode) *fs.FileMode { return &m }
	old := &conn.FileInfo{Mode: 0o600 | fs.ModeSetuid, UID: 1, GID: 2}
	for name, test := range map[string]struct {
		a    files.Attr
		old  *conn.FileInfo
		want files.Attr
	}{
		"new file":      {files.Attr{UID: -1, GID: -1}, nil, files.Attr{Mode: mode(0o644), UID: -1, GID: -1}},
		"old file":      {files.Attr{UID: -1, GID: -1}, old, files.Attr{Mode: mode(0o600 | fs.ModeSetuid), UID: 1, GID: 2}},
		"with a group":  {files.Attr{UID: -1, GID: 5}, old, files.Attr{Mode: mode(0o600 | fs.ModeSetuid), UID: 1, GID: 5}},
		"with it all":   {files.Attr{Mode: mode(0), UID: 0, GID: 0}, old, files.Attr{Mode: mode(0), UID: 0, GID: 0}},
		"new with mode": {files.Attr{Mode: mode(0o400), UID: 3, GID: -1}, nil, files.Attr{Mode: mode(0o400), UID: 3, GID: -1}},
	} {
		if diff := cmp.Diff(test.want, test.a.Over(test.old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTemporary(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/a", "/etc/passwd", "/x/" + strings.Repeat("é", 120), "/x/-rf", "/x/\xff\n"} {
		one, two := files.Temporary(target), files.Temporary(target)
		if path.Dir(one) != path.Dir(target) || one == two || len(path.Base(one)) > 255 || path.Base(one)[0] != '.' {
			t.Errorf("beside %q: %q and %q", target, one, two)
		}
	}
}

// The end of a context ends the reading of content, with its cause.
func TestReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	r := files.Reader(ctx, strings.NewReader("text"))
	buf := make([]byte, 2)
	if n, err := r.Read(buf); n != 2 || err != nil {
		t.Errorf("read %d bytes: %v", n, err)
	}
	cancel(stopped)
	if n, err := r.Read(buf); n != 0 || !errors.Is(err, stopped) {
		t.Errorf("read %d bytes after the end: %v", n, err)
	}
}
