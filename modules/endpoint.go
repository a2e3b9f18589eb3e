package modules

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxPorts is how much of the host's table of ports is read, in bytes.
const maxPorts = 32 << 20

// peerName is the name or the address of a host.
type peerName string

// UnmarshalNode takes what can be a host's name, or an IP address.
func (h *peerName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	_, err := netip.ParseAddr(n.Value)
	odd := func(r rune) bool {
		return r > '~' || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r)
	}
	if n.Kind != yaml.ScalarNode || n.Value == "" || len(n.Value) > 253 ||
		err != nil && (strings.HasPrefix(n.Value, "-") || strings.ContainsFunc(n.Value, odd)) {
		return f.Errorf(n, "must be the name of a host or an IP address, not %.80q", n.Value)
	}
	*h = peerName(n.Value)
	return nil
}

// endpoint is a TCP port that may take connections.
type endpoint struct {
	host string
	port int
	// probe is the number of the probe that is known to work.
	probe int
}

func (e *endpoint) String() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

// errNoProbe means that the host has no means to look at a port.
var errNoProbe = errors.New("the host has none of bash, nc, python3 and curl to make a connection with; " +
	"let the runner look with connect_from: runner")

// refused says that nobody took a connection, by the word of whom.
func refused(by string) error {
	return fmt.Errorf("%w: %s says that nothing takes connections there", errGone, by)
}

// dial fails unless this machine can connect.
func (e *endpoint) dial(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", e.String())
	if bad, ok := errors.AsType[*net.DNSError](err); ok {
		return bad // nobody knows whether the port takes connections
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return c.Close()
}

// look fails unless the port takes connections from the host. For the host itself
// its own table says so without a connection, which a server might mind.
func (e *endpoint) look(ctx context.Context, c conn.Conn) error {
	if addrs := loopbacks(e.host); len(addrs) > 0 {
		open, known, err := e.listening(ctx, c, addrs)
		switch {
		case err != nil || open:
			return err
		case known:
			return refused("/proc/net/tcp")
		}
	}
	probes := e.probes()
	for ; e.probe < len(probes); e.probe++ {
		p := probes[e.probe]
		out, err := c.Run(ctx, conn.Cmd{Argv: p.argv})
		switch {
		case err != nil:
			return fmt.Errorf("connecting with %s: %w", p.argv[0], err)
		case out.Code == 127 || out.Code == 126 || p.unfit(out):
		case p.open(out):
			return nil
		case p.argv[0] == "curl" && out.Code == 6, unresolved(out):
			return fmt.Errorf("%s cannot find out the address of %s", p.argv[0], e.host)
		default:
			return refused(p.argv[0])
		}
	}
	return errNoProbe
}

// probe is a program that makes a connection.
type probe struct {
	argv []string
	// open tells from what it left behind whether there was one, unfit whether the
	// program of this host cannot tell.
	open, unfit func(conn.Output) bool
}

// probes are the ways to make a connection, what is likeliest to be there first.
// None has a shell read what the playbook says.
func (e *endpoint) probes() []probe {
	port := strconv.Itoa(e.port)
	succeeds := func(out conn.Output) bool { return out.Code == 0 }
	says := func(words ...string) func(conn.Output) bool {
		return func(out conn.Output) bool {
			said := strings.ToLower(string(out.Stderr))
			return out.Code != 0 && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(said, w) })
		}
	}
	return []probe{
		{
			[]string{"bash", "-c", `exec 3<>"/dev/tcp/$1/$2"`, "jet", e.host, port},
			succeeds,
			says("no such file or directory"), // it was built without
		},
		{[]string{"nc", "-z", "-w", "5", "--", e.host, port}, succeeds, says("invalid option", "unknown option", "unrecognized option", "usage:")},
		{
			[]string{"python3", "-c", "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)", e.host, port},
			succeeds, says("no module named"),
		},
		{
			[]string{
				"curl", "-q", "-s", "--noproxy", "*", "--connect-timeout", "5", "--max-time", "5", "--output", "/dev/null",
				"--write-out", "%{time_connect}", "--", "telnet://" + e.String(),
			},
			func(out conn.Output) bool { return strings.Trim(string(out.Stdout), "0.,\n") != "" },
			func(out conn.Output) bool { return out.Code == 1 || out.Code == 2 }, // it was built without telnet
		},
	}
}

// unresolved tells whether a probe failed for want of the host's address, which says
// nothing about the port.
func unresolved(out conn.Output) bool {
	said := strings.ToLower(string(out.Stderr))
	return slices.ContainsFunc([]string{
		"name or service not known", "name resolution", "name does not resolve", "no address associated",
		"unknown host", "bad address", "getaddrinfo", "gaierror",
	}, func(words string) bool { return strings.Contains(said, words) })
}

// loopbacks returns the addresses that host stands for, if it is the host itself.
func loopbacks(host string) []netip.Addr {
	v4, v6 := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	if host == "localhost" {
		return []netip.Addr{v4, v6}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.IsLoopback() {
		return nil
	}
	return []netip.Addr{addr.Unmap()}
}

// listening looks for the port in the host's table of ports. It is not known when
// the host has none.
func (e *endpoint) listening(ctx context.Context, c conn.Conn, addrs []netip.Addr) (open, known bool, err error) {
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := readAll(ctx, c, name, maxPorts)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return false, false, err
		}
		known = true
		for _, line := range lines(table) {
			if at, ok := listener(line); ok && int(at.Port()) == e.port && slices.ContainsFunc(addrs, func(a netip.Addr) bool { return serves(at.Addr(), a) }) {
				return true, true, nil
			}
		}
	}
	return false, known, nil
}

// serves tells whether what listens on at gets connections to addr. What listens
// on all addresses of IPv6 gets those of IPv4 too, unless it asked not to.
func serves(at, addr netip.Addr) bool {
	if at = at.Unmap(); at.IsUnspecified() {
		return at.Is6() || addr.Is4()
	}
	return at == addr
}

// listener reads a line of the table: the address of a socket that listens.
func listener(line string) (netip.AddrPort, bool) {
	const listens = "0A"
	f := strings.Fields(line)
	if len(f) < 4 || f[3] != listens {
		return netip.AddrPort{}, false
	}
	host, port, ok := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) { // each is in the order of the machine
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}

// readAll reads a file whose size says nothing, as those of /proc.
func readAll(ctx context.Context, c conn.Conn, name string, most int64) ([]byte, error) {
	f, err := c.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = io.Copy(&b, io.LimitReader(f, most))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b.Bytes(), nil
}
