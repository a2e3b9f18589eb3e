package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Playbook is a parsed playbook with its roles. It is immutable and may be run
// several times, also at once.
type Playbook struct {
	// File is the name it was parsed under.
	File  string
	plays []*play
}

// ParseOptions says where a playbook's parts are.
type ParseOptions struct {
	// RolesPath are directories that hold roles. They are searched in order,
	// before roles/ beside the playbook.
	RolesPath []string
}

// Parse reads a playbook with its roles, task files and variable files, whose
// tasks may use the modules of reg. It reports all faults it finds, joined,
// each with its place in the file. Relative names in the playbook are relative
// to its directory. An empty file is a playbook without plays.
func Parse(file string, reg *Registry, o ParseOptions) (*Playbook, error) {
	return parse(file, reg, o, maxNodes)
}

// parse is Parse with a bound on what aliases expand to.
func parse(file string, reg *Registry, o ParseOptions, bound int) (*Playbook, error) {
	dir := filepath.Dir(file)
	p := &parser{
		reg:       reg,
		dir:       dir,
		rolesPath: append(slices.Clone(o.RolesPath), filepath.Join(dir, "roles")),
		roles:     make(map[string]*role),
		base:      dir,
		left:      bound,
	}
	pb := &Playbook{File: file}
	f, ok := p.read(scalar{}, "playbook", file)
	if ok && f.Root != nil {
		if f.Root.Kind != yaml.SequenceNode {
			p.fault(f.Errorf(f.Root, "a playbook is a list of plays, each beginning with \"- \""))
		} else {
			for _, n := range f.Root.Content {
				pb.plays = append(pb.plays, p.play(f, n))
			}
		}
	}
	if err := errors.Join(p.faults...); err != nil {
		return nil, err
	}
	return pb, nil
}

// parser collects what is found while the files of one playbook are read.
type parser struct {
	reg       *Registry
	dir       string
	rolesPath []string
	// roles holds roles by the name they are invoked by; nil for missing ones.
	roles map[string]*role
	// base is where included files are; files are those that we are within,
	// outermost first, and included is how many there were.
	base     string
	files    []string
	included int
	// blocks is how many blocks and included files we are within.
	blocks int
	// left is how many nodes aliases may still expand to.
	left int
	// aliases is how many aliases we are within, outermost the first of them.
	aliases   int
	outermost *yaml.Node
	// cut is set once something was too large or too deep to be read.
	cut bool

	faults []error
}

func (p *parser) fault(err error) {
	if err != nil {
		p.faults = append(p.faults, err)
	}
}

// read parses a YAML file that holds a what and is named at; ok is false if it
// could not be used.
func (p *parser) read(at scalar, what, file string) (f *strictyaml.File, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		p.fault(at.Wrap(fmt.Errorf("reading %s: %w", what, err)))
		return nil, false
	}
	f, err = strictyaml.Parse(file, data)
	p.fault(err)
	return f, err == nil
}

// varsFile blends a file of variables over vars.
func (p *parser) varsFile(vars map[string]any, name scalar) map[string]any {
	f, ok := p.read(name, "variables", resolve(p.dir, name.text))
	if !ok || f.Root == nil {
		return vars
	}
	var more map[string]any
	p.fault(f.Decode(f.Root, &more))
	blended, _ := inventory.Blend(any(vars), any(more)).(map[string]any)
	return blended
}

// resolve takes a relative path to be relative to dir.
func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Hosts returns the names of the hosts the playbook will touch, sorted, without
// connecting to any. limit holds names of hosts and groups; empty means all.
// Unknown names are errors, and so is a playbook whose plays select no host.
func (pb *Playbook) Hosts(inv *inventory.Inventory, limit []string) ([]string, error) {
	selected, err := pb.selectHosts(inv, limit)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, hosts := range selected {
		for _, h := range hosts {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// selectHosts returns the hosts of each play, sorted by name.
func (pb *Playbook) selectHosts(inv *inventory.Inventory, limit []string) ([][]*inventory.Host, error) {
	if len(pb.plays) == 0 {
		return nil, pb.patternFaults(inv, limit)
	}
	selected := make([][]*inventory.Host, len(pb.plays))
	total := 0
	for i, pl := range pb.plays {
		groups := make([]string, len(pl.groups))
		for j, g := range pl.groups {
			groups[j] = g.text
		}
		hosts, err := inv.Select(groups)
		if err == nil {
			hosts, err = inv.Limit(hosts, limit)
		}
		if err != nil {
			return nil, pb.patternFaults(inv, limit)
		}
		selected[i] = hosts
		total += len(hosts)
	}
	if total == 0 {
		return nil, fmt.Errorf("no host is in the groups of %s and within the limit", pb.File)
	}
	return selected, nil
}

// patternFaults says what is wrong with each pattern that selects hosts.
func (pb *Playbook) patternFaults(inv *inventory.Inventory, limit []string) error {
	var faults []error
	for _, pl := range pb.plays {
		for _, g := range pl.groups {
			_, err := inv.Select([]string{g.text})
			faults = append(faults, g.Wrap(err))
		}
	}
	if _, err := inv.Limit(inv.Hosts(), limit); err != nil {
		faults = append(faults, fmt.Errorf("limiting hosts: %w", err))
	}
	return errors.Join(faults...)
}
