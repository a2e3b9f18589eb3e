package modules

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// fieldLink names that /etc/localtime differs.
const fieldLink = "Link"

const (
	localtimePath = "/etc/localtime"
	timezonePath  = "/etc/timezone"
	zoneDir       = "/usr/share/zoneinfo"
	// maxZone is larger than any description of a time zone, in bytes.
	maxZone = 256 << 10
)

// timezone is the timezone module. It ensures that /etc/localtime is a link to a time
// zone, and that /etc/timezone names it where the host has that file, as Debian and
// its kin do. Programs that run already see the change when they are started anew.
// After a change, the result's members before and after are the zone that was set, empty
// if it is not known, and the one that is.
type timezone struct {
	// Timezone is the name of the time zone below /usr/share/zoneinfo, such as
	// Europe/Berlin or Etc/UTC. The package tzdata holds them.
	Timezone zoneName `yaml:"timezone,required"`

	link   string // what /etc/localtime links to
	legacy etcFile
}

// zoneName is the name of a time zone.
type zoneName string

var zonePattern = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_+-]*(/[A-Za-z0-9_][A-Za-z0-9_+-]*)*$`)

// UnmarshalNode takes a name that leads nowhere else.
func (z *zoneName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 255 || !zonePattern().MatchString(n.Value) {
		return f.Errorf(n, "must be the name of a time zone, such as Europe/Berlin")
	}
	if n.Value == "localtime" {
		return f.Errorf(n, "localtime stands for the zone that is set: write the name of one, such as Europe/Berlin")
	}
	*z = zoneName(n.Value)
	return nil
}

// Preview reads ahead what Query reads.
func (m *timezone) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *timezone) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if err := m.exists(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	var plan engine.Plan
	info, err := h.Conn.Lstat(ctx, localtimePath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return plan, err
	case info.Mode&fs.ModeSymlink != 0:
		if m.link, err = h.Conn.ReadLink(ctx, localtimePath); err != nil {
			return plan, err
		}
	case !info.Mode.IsRegular():
		return plan, fmt.Errorf("%s is neither a link nor a file", localtimePath)
	}
	if zoneOf(m.link) != string(m.Timezone) {
		plan.Fields = append(plan.Fields, fieldLink)
	}
	if m.legacy, err = readEtc(ctx, h.Conn, timezonePath); err != nil {
		return plan, err
	}
	if m.legacy.exists && strings.TrimSpace(m.legacy.text) != string(m.Timezone) {
		plan.Fields = append(plan.Fields, fieldContent)
		plan.Diffs = m.legacy.diff(h, string(m.Timezone)+"\n")
	}
	if plan.Need = engine.Modify; len(plan.Fields) == 0 {
		plan.Need = engine.Matched
	}
	return plan, nil
}

// exists looks for the zone: other files lie beside the zones.
func (m *timezone) exists(ctx context.Context, c conn.Conn) error {
	found, err := c.Inspect(ctx, path.Join(zoneDir, string(m.Timezone)), conn.Look{Content: maxZone})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !strings.HasPrefix(string(found.Content), "TZif") {
		return fmt.Errorf("the host has no time zone %s in %s; the package tzdata holds them", m.Timezone, zoneDir)
	}
	return nil
}

// zoneOf is the zone that a link of /etc leads to; empty if it leads to none.
func zoneOf(link string) string {
	if link == "" {
		return ""
	}
	if !path.IsAbs(link) {
		link = path.Join(path.Dir(localtimePath), link)
	}
	zone, ok := strings.CutPrefix(path.Clean(link), zoneDir+"/")
	if !ok {
		return ""
	}
	return zone
}

func (m *timezone) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	res := engine.Result{Data: map[string]any{"before": zoneOf(m.link), "after": string(m.Timezone)}}
	for _, f := range p.Fields {
		var err error
		if f == fieldLink {
			err = replaceLink(ctx, h.Conn, path.Join(zoneDir, string(m.Timezone)), localtimePath)
		} else {
			err = m.legacy.write(ctx, h.Conn, string(m.Timezone)+"\n")
		}
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

// replaceLink makes a path a symbolic link, in the place of what is there.
func replaceLink(ctx context.Context, c conn.Conn, target, at string) error {
	dir, base := path.Split(at)
	name := dir + "." + base + ".jet-" + strings.ToLower(rand.Text()[:16])
	if err := c.Symlink(ctx, target, name); err != nil {
		return err
	}
	err := c.Rename(ctx, name, at)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		_ = c.Remove(ctx, name) // the error that counts is the other one
	}
	return err
}
