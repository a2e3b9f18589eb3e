package modules

import (
	"context"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Names of what differs in a host's name.
const (
	fieldStatic  = "Static"
	fieldRunning = "Running"
	fieldHosts   = "Hosts"
)

const (
	hostnamePath = "/etc/hostname"
	hostsPath    = "/etc/hosts"
	// ownAddress is the address under which Debian and its kin know a host by its own
	// name in /etc/hosts.
	ownAddress = "127.0.1.1"
)

// hostname is the hostname module, for Linux. It ensures that the host has a name: in
// /etc/hostname, which is read at boot, and now. In a container that has
// /etc/hostname or /etc/hosts mounted from outside, the file is written over where it
// is.
//
// The result has, after a change, before and after: the name that the host had and has.
type hostname struct {
	// Hostname is the host's name: letters, digits and dashes, also in several parts with
	// dots, at most 64 bytes in all.
	Hostname hostName `yaml:"hostname,required"`
	// Hosts ensures that /etc/hosts has the name at 127.0.1.1, alone, and if it has
	// dots its first part as well. A program that asks for the host's own address
	// then gets one without a name server.
	Hosts bool `yaml:"hosts"`

	static, hosts           etcFile
	afterStatic, afterHosts string
	before                  string // the running name
}

// hostName is the name of a host.
type hostName string

var hostNamePattern = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// UnmarshalNode takes a name that the kernel and the domain name system take.
func (o *hostName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 64 || !hostNamePattern().MatchString(n.Value) {
		return f.Errorf(n, "must be the name of a host: letters, digits and dashes, in parts with dots between, at most 64 bytes")
	}
	*o = hostName(n.Value)
	return nil
}

// Preview reads ahead what Query reads.
func (m *hostname) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *hostname) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.static, err = readEtc(ctx, h.Conn, hostnamePath); err != nil {
		return engine.Plan{}, err
	}
	if m.before, err = runningName(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	var plan engine.Plan
	m.afterStatic = m.static.text
	if staticName(m.static.text) != string(m.Hostname) {
		m.afterStatic = string(m.Hostname) + "\n"
		plan.Fields = append(plan.Fields, fieldStatic)
		plan.Diffs = m.static.diff(h, m.afterStatic)
	}
	if m.before != string(m.Hostname) {
		plan.Fields = append(plan.Fields, fieldRunning)
	}
	if m.Hosts {
		if m.hosts, err = readEtc(ctx, h.Conn, hostsPath); err != nil {
			return engine.Plan{}, err
		}
		if m.afterHosts = editHosts(m.hosts.text, m.Hostname); m.afterHosts != m.hosts.text {
			plan.Fields = append(plan.Fields, fieldHosts)
			plan.Diffs = append(plan.Diffs, m.hosts.diff(h, m.afterHosts)...)
		}
	}
	if plan.Need = engine.Modify; len(plan.Fields) == 0 {
		plan.Need = engine.Matched
	}
	return plan, nil
}

// runningName is the name that the kernel has.
func runningName(ctx context.Context, c conn.Conn) (string, error) {
	name, err := readProc(ctx, c, "/proc/sys/kernel/hostname")
	return strings.TrimSpace(name), err
}

// staticName is the name in the text of /etc/hostname, which may have comments.
func staticName(text string) string {
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			return l
		}
	}
	return ""
}

// editHosts returns the table of hosts with the name at our own address: in the
// place of the first line for that address, or below localhost.
func editHosts(text string, name hostName) string {
	names := string(name)
	if short, _, dotted := strings.Cut(names, "."); dotted {
		names += " " + short
	}
	var lines []string
	local, found := 0, false
	for l := range strings.Lines(text) {
		entry, _, _ := strings.Cut(l, "#")
		f := strings.Fields(entry)
		switch {
		case len(f) == 0:
		case f[0] == "127.0.0.1":
			local = len(lines) + 1
		case f[0] == ownAddress && !found:
			found = true
			if strings.Join(f[1:], " ") != names {
				l = ownAddress + "\t" + names + "\n"
			}
		}
		lines = append(lines, l)
	}
	if found {
		return strings.Join(lines, "")
	}
	if local > 0 && !strings.HasSuffix(lines[local-1], "\n") {
		lines[local-1] += "\n"
	}
	return strings.Join(lines[:local], "") + ownAddress + "\t" + names + "\n" + strings.Join(lines[local:], "")
}

func (m *hostname) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	res := engine.Result{Data: map[string]any{"before": m.before, "after": string(m.Hostname)}}
	for _, f := range p.Fields {
		var err error
		switch f {
		case fieldStatic:
			err = m.static.write(ctx, h.Conn, m.afterStatic)
		case fieldRunning:
			err = m.rename(ctx, h.Conn)
		case fieldHosts:
			err = m.hosts.write(ctx, h.Conn, m.afterHosts)
		}
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

// rename gives the running host its name. Where systemd runs, it is told, so that it
// and those who listen to it know; it takes the name in /etc/hostname.
func (m *hostname) rename(ctx context.Context, c conn.Conn) error {
	booted, err := hasSystemd(ctx, c)
	if err != nil {
		return err
	}
	argv := []string{"hostname", string(m.Hostname)}
	if booted {
		argv = []string{"hostnamectl", "--no-ask-password", "--transient", "set-hostname", string(m.Hostname)}
	}
	if err := act(ctx, c, nil, argv...); err != nil {
		return err
	}
	now, err := runningName(ctx, c)
	if err == nil && now != string(m.Hostname) {
		err = fmt.Errorf("naming the host %s: it is still called %s", m.Hostname, now)
	}
	return err
}
