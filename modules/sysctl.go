package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// fieldValue names what differs in a setting of the running kernel.
const fieldValue = "Value"

const (
	// sysctlFile is where settings are kept when the task names no other file.
	sysctlFile = "/etc/sysctl.d/90-jet.conf"
	// maxSysctl is the length of the longest value, in bytes: a page, less the name.
	maxSysctl = 3800
)

// sysctl is the sysctl module, for Linux. It ensures that a setting of the kernel has
// a value, in the running kernel and in a file that is read at boot.
//
// The result has, after a change, before and after, the value that the running kernel
// had and has; they are missing where it is not looked at.
type sysctl struct {
	// Key is the setting's name, such as net.ipv4.ip_forward. In a name with dots, a slash
	// stands for a dot within a part (net.ipv4.conf.eth0/100.forwarding); a name with
	// slashes is taken as the path below /proc/sys.
	Key sysctlName `yaml:"key,required"`
	// Value is the value to have. It is required, except with remove. Blanks between
	// several numbers may be of any kind.
	Value string `yaml:"value"`
	// Persist keeps the setting in the file, for the next boot. It is true when it is
	// not given.
	Persist *bool `yaml:"persist"`
	// File is the file that the setting is kept in. It is /etc/sysctl.d/90-jet.conf
	// when it is not given. A file whose name sorts later may set the same anew.
	File filePath `yaml:"file"`
	// Now sets the value in the running kernel. It is true when it is not given.
	Now *bool `yaml:"now"`
	// Remove takes the setting out of the file. The running kernel keeps its value
	// until the next boot. Only key and file go with it.
	Remove bool `yaml:"remove"`

	kept         etcFile
	after        string // what the file shall hold
	looked       bool   // whether the running kernel was asked
	before, live string // the running kernel's value, and what it shall become
}

// sysctlName is the name of a setting.
type sysctlName string

var sysctlPattern = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_:@+-]*([./][A-Za-z0-9_][A-Za-z0-9_:@+-]*)+$`)

// UnmarshalNode takes a name that is a path below /proc/sys.
func (s *sysctlName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 255 || !sysctlPattern().MatchString(n.Value) {
		return f.Errorf(n, "must be the name of a setting of the kernel, such as net.ipv4.ip_forward")
	}
	*s = sysctlName(n.Value)
	return nil
}

// path returns the setting's path below /proc/sys.
func (s sysctlName) path() string {
	if i := strings.IndexAny(string(s), "./"); i < 0 || s[i] == '/' {
		return string(s)
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(string(s))
}

// Validate checks what is missing, and what does not go together.
func (m *sysctl) Validate() error {
	persist, now := m.Persist == nil || *m.Persist, m.Now == nil || *m.Now
	switch {
	case m.Remove && (m.Value != "" || m.Persist != nil || m.Now != nil):
		return errors.New("remove goes with no other parameter than key and file")
	case m.Remove:
		return nil
	case strings.TrimSpace(m.Value) == "":
		return errors.New("value is missing")
	case !isPlain(m.Value) || len(m.Value) > maxSysctl:
		return fmt.Errorf("value must be one line of text of at most %d bytes", maxSysctl)
	case !persist && m.File != "":
		return errors.New("file goes with persist only")
	case !persist && !now:
		return errors.New("with both persist and now false there is nothing to do")
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *sysctl) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *sysctl) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var plan engine.Plan
	m.live = ""
	if !m.Remove && (m.Now == nil || *m.Now) {
		var err error
		if m.before, err = readProc(ctx, h.Conn, "/proc/sys/"+m.Key.path()); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return plan, fmt.Errorf("the kernel of the host has no setting %s; now: false sets it for the next boot", m.Key)
			}
			return plan, err
		}
		m.before, m.looked = strings.TrimSpace(m.before), true
		if !sameValue(m.before, m.Value) {
			m.live = strings.TrimSpace(m.Value)
			plan.Fields = append(plan.Fields, fieldValue)
		}
	}
	if m.Remove || m.Persist == nil || *m.Persist {
		if m.File == "" {
			m.File = sysctlFile
		}
		var err error
		if m.kept, err = readEtc(ctx, h.Conn, string(m.File)); err != nil {
			return plan, err
		}
		if m.after = m.edit(m.kept.text); m.after != m.kept.text {
			plan.Fields = append(plan.Fields, fieldContent)
			plan.Diffs = m.kept.diff(h, m.after)
		}
	}
	switch {
	case len(plan.Fields) == 0:
		plan.Need = engine.Matched
	case m.Remove:
		plan.Need, plan.Fields = engine.Remove, nil
	default:
		plan.Need = engine.Modify
	}
	return plan, nil
}

// edit returns a file with the setting in the place of the last line that sets it,
// which is the one that holds, and without the others.
func (m *sysctl) edit(text string) string {
	last := -1
	var lines []string
	for l := range strings.Lines(text) {
		if name, value, ok := parseSysctl(l); ok && sysctlName(name).path() == m.Key.path() {
			if last >= 0 {
				lines[last] = ""
			}
			last = len(lines)
			if !m.Remove && sameValue(value, m.Value) {
				lines = append(lines, l)
				continue
			}
			l = m.line()
		}
		lines = append(lines, l)
	}
	if last < 0 && !m.Remove {
		if text != "" && !strings.HasSuffix(text, "\n") {
			lines = append(lines, "\n")
		}
		lines = append(lines, m.line())
	}
	return strings.Join(lines, "")
}

// line is the setting as a line of the file, nothing with remove.
func (m *sysctl) line() string {
	if m.Remove {
		return ""
	}
	return string(m.Key) + " = " + strings.TrimSpace(m.Value) + "\n"
}

// parseSysctl reads a line that sets something. A dash before the name means that
// the setting may be missing.
func parseSysctl(l string) (name, value string, ok bool) {
	l = strings.TrimSpace(l)
	if strings.HasPrefix(l, "#") || strings.HasPrefix(l, ";") {
		return "", "", false
	}
	name, value, ok = strings.Cut(strings.TrimPrefix(l, "-"), "=")
	return strings.TrimSpace(name), strings.TrimSpace(value), ok
}

// sameValue compares values, in which blanks part numbers.
func sameValue(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}

func (m *sysctl) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	var res engine.Result
	if m.looked {
		res.Data = map[string]any{"before": m.before, "after": m.before}
	}
	if m.live != "" {
		if err := act(ctx, h.Conn, nil, "sysctl", "-q", "-w", string(m.Key)+"="+m.live); err != nil {
			return res, err
		}
		now, err := readProc(ctx, h.Conn, "/proc/sys/"+m.Key.path())
		if err != nil {
			return res, err
		}
		now = strings.TrimSpace(now)
		res.Data = map[string]any{"before": m.before, "after": now}
		if !sameValue(now, m.live) {
			return res, fmt.Errorf("setting %s to %q: the kernel made %q of it", m.Key, m.live, now)
		}
	}
	if m.after == m.kept.text {
		return res, nil
	}
	return res, m.kept.write(ctx, h.Conn, m.after)
}
