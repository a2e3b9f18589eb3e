// Package sshconfig reads the configuration of the OpenSSH client, as far as it
// says how to reach a host: names, ports, users, keys, jump hosts and files of
// known hosts. What it does not know it leaves out; see [Host] for what it knows.
//
// As in ssh, the first value that is found for an option counts, user's file
// before system's. Match blocks with criteria other than all, host and
// originalhost are not applied.
package sshconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxDepth bounds how deep files include each other.
const maxDepth = 16

// maxSize bounds one file; a configuration is far smaller.
const maxSize = 4 << 20

// Options say what a configuration refers to.
type Options struct {
	// Files are read in this order; those that do not exist are left out.
	Files []string
	// Home is what ~ and %d stand for; a relative Include in a file below it is
	// taken from its .ssh directory, in any other file from that file's directory.
	Home string
	// User is the local user, %u.
	User string
}

// Config is a configuration that was read. The zero value says nothing of any
// host. It is safe for concurrent use.
type Config struct {
	o     Options
	files [][]directive
}

// Load reads the configuration. Faults in it carry file:line:column.
func Load(o Options) (*Config, error) {
	c := &Config{o: o}
	for _, name := range o.Files {
		directives, err := c.read(name, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read ssh configuration: %w", err)
		}
		c.files = append(c.files, directives)
	}
	return c, nil
}

func (c *Config) read(name string, depth int) ([]directive, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.IsDir() || fi.Size() > maxSize {
		return nil, fmt.Errorf("%s is no configuration file", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	directives, err := parse(name, string(text))
	if err != nil {
		return nil, err
	}
	for i := range directives {
		d := &directives[i]
		if d.key != "include" {
			continue
		}
		if depth == maxDepth {
			return nil, d.fault(0, "files include each other too deep")
		}
		if err := c.include(d, depth+1); err != nil {
			return nil, err
		}
	}
	return directives, nil
}

// include reads the files that d names.
func (c *Config) include(d *directive, depth int) error {
	for i, arg := range d.args {
		pattern := c.home(arg.text)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(c.base(d.file), pattern)
		}
		names, err := filepath.Glob(pattern)
		if err != nil {
			return d.fault(i, "%q is no pattern of file names", arg.text)
		}
		slices.Sort(names)
		for _, name := range names {
			directives, err := c.read(name, depth)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				continue
			}
			if err != nil {
				return err
			}
			d.included = append(d.included, directives)
		}
	}
	return nil
}

// base is the directory that the relative names in a file are meant in.
func (c *Config) base(file string) string {
	if c.o.Home != "" {
		if rel, err := filepath.Rel(c.o.Home, file); err == nil && filepath.IsLocal(rel) {
			return filepath.Join(c.o.Home, ".ssh")
		}
	}
	return filepath.Dir(file)
}

// home expands the tilde of the user's own home.
func (c *Config) home(name string) string {
	if c.o.Home == "" {
		return name
	}
	if name == "~" {
		return c.o.Home
	}
	if len(name) > 1 && name[:2] == "~/" {
		return filepath.Join(c.o.Home, name[2:])
	}
	return name
}
