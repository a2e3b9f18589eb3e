package sshconfig

import (
	"strconv"
	"strings"
	"time"
)

// Host is what a configuration says of one host. Zero values mean that it says
// nothing.
type Host struct {
	// HostName is the name or address to connect to.
	HostName string
	User     string
	Port     int
	// IdentityFiles and CertificateFiles are keys and certificates, in their
	// order. With NoIdentity there are none, not even the usual ones.
	IdentityFiles, CertificateFiles []string
	NoIdentity                      bool
	// IdentitiesOnly leaves out the agent's keys other than IdentityFiles.
	IdentitiesOnly bool
	// IdentityAgent is an agent's socket, "none", or "SSH_AUTH_SOCK" for the usual
	// one.
	IdentityAgent string
	// ProxyJump is the hosts to connect through, or "none".
	ProxyJump string
	// ProxyCommand is the place (file:line) of a command to connect through, where
	// it counts rather than ProxyJump.
	ProxyCommand string
	// UserKnownHosts and GlobalKnownHosts are files; not nil but empty is none.
	UserKnownHosts, GlobalKnownHosts []string
	// StrictHostKeyChecking is "yes" or "accept-new". A configuration's "ask" is
	// read as the first, as there is nobody to ask, and "no" as the second.
	StrictHostKeyChecking string
	// HostKeyAlias is the name to look up host keys by.
	HostKeyAlias string
	// ConnectTimeout bounds connecting; ServerAliveInterval is the time between
	// signs of life asked for, negative for none, and ServerAliveCountMax how many
	// may stay out.
	ConnectTimeout, ServerAliveInterval time.Duration
	ServerAliveCountMax                 int
}

// check refuses values that do not fit their key.
func (d *directive) check() error {
	if _, known := setters[d.key]; !known && d.key != "host" && d.key != "match" && d.key != "include" {
		return nil
	}
	if len(d.args) == 0 || d.args[0].text == "" && d.key != "match" {
		return d.fault(0, "%s has no value", d.key)
	}
	value := d.value()
	ok := true
	switch d.key {
	case "port":
		n, err := strconv.Atoi(value)
		ok = err == nil && n > 0 && n <= 65535
	case "identitiesonly":
		_, ok = yes(value)
	case "stricthostkeychecking":
		_, ok = strict(value)
	case "connecttimeout", "serveraliveinterval":
		_, ok = duration(value)
	case "serveralivecountmax":
		n, err := strconv.Atoi(value)
		ok = err == nil && n >= 0
	}
	if !ok {
		return d.fault(0, "%s cannot be %q", d.key, d.args[0].text)
	}
	return nil
}

// setters take a value into a Host. They are called for the first value only,
// but for the keys of accumulated.
var setters = map[string]func(*Host, *directive){
	"hostname":             func(h *Host, d *directive) { h.HostName = d.args[0].text },
	"user":                 func(h *Host, d *directive) { h.User = d.args[0].text },
	"identityagent":        func(h *Host, d *directive) { h.IdentityAgent = d.args[0].text },
	"hostkeyalias":         func(h *Host, d *directive) { h.HostKeyAlias = d.args[0].text },
	"proxyjump":            func(h *Host, d *directive) { h.ProxyJump = d.args[0].text },
	"identityfile":         func(h *Host, d *directive) { add(&h.IdentityFiles, d.args[:1]) },
	"certificatefile":      func(h *Host, d *directive) { add(&h.CertificateFiles, d.args[:1]) },
	"userknownhostsfile":   func(h *Host, d *directive) { add(&h.UserKnownHosts, d.args) },
	"globalknownhostsfile": func(h *Host, d *directive) { add(&h.GlobalKnownHosts, d.args) },
	"port":                 func(h *Host, d *directive) { h.Port, _ = strconv.Atoi(d.args[0].text) },
	"identitiesonly":       func(h *Host, d *directive) { h.IdentitiesOnly, _ = yes(d.value()) },
	"stricthostkeychecking": func(h *Host, d *directive) {
		h.StrictHostKeyChecking, _ = strict(d.value())
	},
	"connecttimeout": func(h *Host, d *directive) { h.ConnectTimeout, _ = duration(d.value()) },
	"serveraliveinterval": func(h *Host, d *directive) {
		if h.ServerAliveInterval, _ = duration(d.value()); h.ServerAliveInterval == 0 {
			h.ServerAliveInterval = -1
		}
	},
	"serveralivecountmax": func(h *Host, d *directive) { h.ServerAliveCountMax, _ = strconv.Atoi(d.args[0].text) },
	"proxycommand": func(h *Host, d *directive) {
		if d.value() != "none" {
			h.ProxyCommand = d.file + ":" + strconv.Itoa(d.line)
		}
	},
}

// accumulated are the keys of which every value counts.
func accumulated(key string) bool { return key == "identityfile" || key == "certificatefile" }

// value is the first argument in lower case.
func (d *directive) value() string { return strings.ToLower(d.args[0].text) }

func add(list *[]string, args []argument) {
	for _, a := range args {
		*list = append(*list, a.text)
	}
}

func yes(value string) (is, ok bool) {
	switch value {
	case "yes", "true":
		return true, true
	case "no", "false":
		return false, true
	}
	return false, false
}

func strict(value string) (string, bool) {
	switch value {
	case "yes", "true", "ask":
		return "yes", true
	case "accept-new", "no", "false", "off":
		return "accept-new", true
	}
	return "", false
}

// duration reads a time as ssh writes it: seconds, or numbers with units.
func duration(value string) (time.Duration, bool) {
	if value == "none" {
		return 0, true
	}
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	var total time.Duration
	for value != "" {
		i := strings.IndexFunc(value, func(r rune) bool { return r < '0' || r > '9' })
		if i < 0 {
			i = len(value)
		}
		n, err := strconv.ParseUint(value[:i], 10, 20)
		if err != nil {
			return 0, false
		}
		unit := "s"
		if i < len(value) {
			unit, value = value[i:i+1], value[i+1:]
		} else {
			value = ""
		}
		length, ok := units[unit]
		if !ok {
			return 0, false
		}
		total += time.Duration(n) * length
	}
	return total, total > 0
}

var units = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// Host returns what the configuration says of the host that is called alias.
// user is who logs in as far as that is settled already, for %r.
func (c *Config) Host(alias, user string) Host {
	e := evaluation{alias: alias, set: map[string]bool{}}
	for _, directives := range c.files {
		active := true
		e.run(directives, &active, false)
	}
	h := e.h
	h.HostName = replace(h.HostName, map[byte]string{'h': alias})
	name, login := h.HostName, user
	if name == "" {
		name = alias
	}
	if login == "" {
		login = h.User
	}
	tokens := map[byte]string{
		'd': c.o.Home, 'h': name, 'r': login, 'u': c.o.User, 'n': alias, 'k': alias, 'p': "22",
	}
	if h.Port != 0 {
		tokens['p'] = strconv.Itoa(h.Port)
	}
	if h.HostKeyAlias != "" {
		tokens['k'] = h.HostKeyAlias
	}
	paths := func(list *[]string) {
		if *list == nil {
			return
		}
		out := []string{}
		for _, f := range *list {
			if !strings.EqualFold(f, "none") {
				out = append(out, c.home(replace(f, tokens)))
			}
		}
		*list = out
	}
	for _, list := range []*[]string{&h.IdentityFiles, &h.CertificateFiles, &h.UserKnownHosts, &h.GlobalKnownHosts} {
		paths(list)
	}
	h.NoIdentity = h.IdentityFiles != nil && len(h.IdentityFiles) == 0
	switch h.IdentityAgent {
	case "", "none", "SSH_AUTH_SOCK":
	default:
		h.IdentityAgent = c.home(replace(h.IdentityAgent, tokens))
	}
	return h
}

// evaluation goes through a configuration for one host.
type evaluation struct {
	alias string
	h     Host
	// set holds the keys that have their value.
	set map[string]bool
}

// run applies directives. active says whether the block is for the host; never
// that nothing in them is, as they are included from a block that is not.
func (e *evaluation) run(directives []directive, active *bool, never bool) {
	for i := range directives {
		d := &directives[i]
		switch d.key {
		case "host", "match":
			name := replace(e.h.HostName, map[byte]string{'h': e.alias})
			if name == "" {
				name = e.alias
			}
			*active = !never && d.applies(e.alias, name)
			continue
		case "include":
			for _, file := range d.included {
				within := *active
				e.run(file, &within, never || !*active)
			}
			continue
		}
		take := setters[d.key]
		if !*active || take == nil {
			continue
		}
		key := d.key
		if key == "proxycommand" {
			// The two are one choice.
			key = "proxyjump"
		}
		if e.set[key] && !accumulated(key) {
			continue
		}
		e.set[key] = true
		take(&e.h, d)
	}
}

// replace expands the tokens that are known; two percent signs are one.
func replace(text string, tokens map[byte]string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		value, ok := tokens[text[i]]
		switch {
		case text[i] == '%':
			b.WriteByte('%')
		case ok:
			b.WriteString(value)
		default:
			b.WriteByte('%')
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
