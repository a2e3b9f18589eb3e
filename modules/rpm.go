package modules

import (
	"context"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// rpmInstalled returns the versions of installed packages, of several of one name
// the newest, such as kernels. A name may have the architecture behind it.
func rpmInstalled(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	argv := append([]string{"rpm", "-q", "--queryformat", "%{NAME} %{ARCH} %{EVR}\\n", "--"}, names...)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]packageState)
	absent := 0
	for _, line := range lines(out.Stdout) {
		f := strings.Fields(line)
		switch {
		case rpmAbsent().MatchString(line):
			absent++
		case len(f) == 3:
			for _, name := range names {
				if name == f[0] || name == f[0]+"."+f[1] {
					found[name] = packageState{version: f[2]}
				}
			}
		}
	}
	if out.Code != 0 && absent == 0 {
		return nil, toolError(argv, out)
	}
	return found, nil
}

var rpmAbsent = lazyregexp.New(`^package \S+ is not installed$`)
