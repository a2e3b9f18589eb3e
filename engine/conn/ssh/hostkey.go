package ssh

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// hostKeys checks one host's key during one handshake.
type hostKeys struct {
	d *Dialer
	e *endpoint
	// address is what the host is known by.
	address string
	// plain is the name without the port, for a host that is not known with it; a
	// key that is known for that will do. It is empty for the usual port.
	plain string
	trust *trust
	// known are the lines that speak of the host; algorithms follow from them.
	known      []knownLine
	algorithms []string
	// seen says that the key was accepted, refusal why it was not.
	seen    bool
	refusal error
}

// hostKeys reads what is known of a host.
func (d *Dialer) hostKeys(e *endpoint) (*hostKeys, error) {
	k := &hostKeys{d: d, e: e, address: e.address()}
	if e.alias != "" {
		k.address = net.JoinHostPort(e.alias, strconv.Itoa(defaultPort))
	}
	var err error
	if k.trust, err = d.known.read(e.known); err != nil {
		return nil, err
	}
	k.known = k.trust.of(k.address)
	if len(k.known) == 0 {
		return k, k.prefer()
	}
	k.algorithms, err = k.trust.algorithms(k.known)
	return k, err
}

// prefer asks a host that is not known for a key that is known of its name on the
// usual port, and then for one that can be recorded: no certificate.
func (k *hostKeys) prefer() error {
	host, port, err := net.SplitHostPort(k.address)
	if err != nil {
		return fmt.Errorf("look up host %s: %w", k.address, err)
	}
	if port != strconv.Itoa(defaultPort) {
		k.plain = net.JoinHostPort(host, strconv.Itoa(defaultPort))
		known := k.trust.of(k.plain)
		if len(known) == 0 {
			k.plain = ""
		} else if k.algorithms, err = k.trust.algorithms(known); err != nil {
			// Those keys are of no use here, then.
			k.algorithms = nil
		}
	}
	for _, a := range gossh.SupportedAlgorithms().HostKeys {
		if !strings.Contains(a, "-cert-") && !slices.Contains(k.algorithms, a) {
			k.algorithms = append(k.algorithms, a)
		}
	}
	return nil
}

// check is the handshake's question whether key is the host's.
func (k *hostKeys) check(_ string, _ net.Addr, key gossh.PublicKey) error {
	err := k.trust.check(k.address, key)
	_, certificate := key.(*gossh.Certificate)
	if err != nil && k.plain != "" {
		if perr := k.trust.check(k.plain, key); perr == nil || certificate {
			err = perr
		}
	}
	unfit, ok := errors.AsType[*unfitError](err)
	if ok && len(unfit.want) == 0 && k.e.acceptNew && !certificate {
		err = k.d.known.record(k.e.known, k.address, key)
		unfit, ok = errors.AsType[*unfitError](err)
	}
	if err == nil {
		k.seen = true
		return nil
	}
	print := fmt.Sprintf("%s key %s", key.Type(), gossh.FingerprintSHA256(key))
	revoked, isRevoked := errors.AsType[*revokedError](err)
	switch {
	case isRevoked:
		k.refusal = fmt.Errorf("the %s that %s presents is revoked in %s: %w",
			print, k.host(), revoked.by.place(), conn.ErrHostKey)
	case ok && len(unfit.want) > 0:
		k.refusal = fmt.Errorf("the %s that %s presents is not the one in %s; "+
			"if the host was set up anew, remove that line, otherwise someone may be in between: %w",
			print, k.host(), unfit.want[0].place(), conn.ErrHostKey)
	case ok:
		k.refusal = fmt.Errorf("%s is not known: it presents the %s; "+
			"compare it and add it to %s, or pass --accept-new to record it on first sight%s: %w",
			k.host(), print, k.file(), k.faults(), conn.ErrHostKey)
	default:
		k.refusal = fmt.Errorf("check the %s that %s presents: %w: %w", print, k.host(), conn.ErrHostKey, err)
	}
	return k.refusal
}

// host is how messages call the host.
func (k *hostKeys) host() string {
	name := k.e.target.Name
	if name == "" || strings.HasPrefix(k.address, name+":") {
		return knownhosts.Normalize(k.address)
	}
	return fmt.Sprintf("%s (%s)", name, knownhosts.Normalize(k.address))
}

// file is the one that a key would be added to.
func (k *hostKeys) file() string {
	if len(k.e.known) == 0 {
		return "a file of known hosts"
	}
	return k.e.known[0]
}

// faults names the lines that were left out: the host's may be among them.
func (k *hostKeys) faults() string {
	if len(k.trust.faults) == 0 {
		return ""
	}
	return "; " + strings.Join(k.trust.faults[:min(len(k.trust.faults), 3)], ", ")
}

// types lists the types of the known keys.
func (k *hostKeys) types() string {
	var types []string
	for _, key := range k.known {
		types = append(types, key.key.Type())
	}
	slices.Sort(types)
	return strings.Join(slices.Compact(types), ", ")
}
