package modules

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// hostPath is an absolute path on the host, without a slash at its end (unless
// it is the root). It is not cleaned: what ".." names is for the host to say.
type hostPath string

// UnmarshalNode takes a scalar that is an absolute path.
func (p *hostPath) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := checkPath(n); err != nil {
		return f.Pos(n).Wrap(err)
	}
	if *p = hostPath(strings.TrimRight(n.Value, "/")); *p == "" {
		*p = "/"
	}
	return nil
}

// filePath is an absolute path of a file on the host: a hostPath in which a slash at
// the end is refused.
type filePath string

// UnmarshalNode takes a scalar that is an absolute path of a file.
func (p *filePath) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if err := checkPath(n); err != nil {
		return f.Pos(n).Wrap(err)
	}
	if strings.HasSuffix(n.Value, "/") {
		return f.Errorf(n, "path %q ends in a slash, which names a directory: write the path of the file itself", n.Value)
	}
	*p = filePath(n.Value)
	return nil
}

func checkPath(n *yaml.Node) error {
	switch v := n.Value; {
	case n.Kind != yaml.ScalarNode || v == "":
		return errors.New("must be an absolute path")
	case strings.HasPrefix(v, "~"):
		return fmt.Errorf("path %q: ~ is not expanded, because it would depend on the user the task runs as; "+
			"write the absolute path, such as /home/USER%s", v, tildeRest(v))
	case !strings.HasPrefix(v, "/"):
		return fmt.Errorf("path %q is relative: write an absolute path, one that begins with /", v)
	case strings.ContainsRune(v, 0):
		return fmt.Errorf("path %q holds a NUL byte, which no file name can", v)
	}
	return nil
}

// tildeRest returns what follows ~ or ~user, from the slash on.
func tildeRest(p string) string {
	if i := strings.IndexByte(p, '/'); i >= 0 {
		return p[i:]
	}
	return ""
}

// varName is the name of a variable, one that a module stores.
type varName string

// UnmarshalNode takes a scalar that can name a variable.
func (v *varName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return f.Errorf(n, "must be the name of a variable")
	}
	if err := checkVarName(n.Value); err != nil {
		return f.Pos(n).Wrap(err)
	}
	*v = varName(n.Value)
	return nil
}

func checkVarName(s string) error {
	if !engine.IsVariable(s) {
		return fmt.Errorf("%q cannot name a variable: use letters, digits, _ and -, not beginning with a digit or -", s)
	}
	if s == "item" {
		return errors.New("a variable cannot be stored as item, which is the name of the current item of a loop")
	}
	return nil
}
