package ssh

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// hostKeys checks one host's key during one handshake.
type hostKeys struct {
	d       *Dialer
	name    string
	address string
	lookup  gossh.HostKeyCallback
	// known are the lines that speak of the host; algorithms follow from them.
	known      []knownhosts.KnownKey
	algorithms []string
	// seen says that the key was accepted, refusal why it was not.
	seen    bool
	refusal error
}

// hostKeys reads what is known of a host.
func (d *Dialer) hostKeys(name, address string) (*hostKeys, error) {
	k := &hostKeys{d: d, name: name, address: address}
	var err error
	if k.lookup, k.known, err = d.known(address); err != nil {
		return nil, err
	}
	if k.algorithms, err = algorithms(k.known); err != nil {
		return nil, err
	}
	return k, nil
}

// known reads the files of known hosts, and which lines speak of address.
func (d *Dialer) known(address string) (gossh.HostKeyCallback, []knownhosts.KnownKey, error) {
	var present []string
	for _, file := range d.o.KnownHosts {
		if _, err := os.Stat(file); err == nil {
			present = append(present, file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
		}
	}
	lookup, err := knownhosts.New(present...)
	if err != nil {
		return nil, nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
	}
	// The package tells what it knows only when it is shown a key that does not
	// fit: this one belongs to nobody.
	nobody, err := gossh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil, nil, fmt.Errorf("make a key to look hosts up by: %w", err)
	}
	var unfit *knownhosts.KeyError
	if err := lookup(address, unspecified(), nobody); errors.As(err, &unfit) {
		return lookup, unfit.Want, nil
	}
	return lookup, nil, nil
}

// unspecified stands for the address that a name resolves to. Keys are looked up
// by the name alone: an address may be another host's tomorrow.
func unspecified() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// algorithms returns the host key algorithms for the types of known keys, so that
// a host with several keys presents one we can check. No known keys give nil,
// which leaves the choice to the library.
func algorithms(known []knownhosts.KnownKey) ([]string, error) {
	var plain, certified []string
	for _, k := range known {
		authority, err := isAuthority(k)
		if err != nil {
			return nil, err
		}
		if authority {
			certified = []string{
				gossh.CertAlgoED25519v01, gossh.CertAlgoECDSA256v01, gossh.CertAlgoECDSA384v01,
				gossh.CertAlgoECDSA521v01, gossh.CertAlgoRSASHA512v01, gossh.CertAlgoRSASHA256v01,
			}
			continue
		}
		switch typ := k.Key.Type(); typ {
		case gossh.KeyAlgoRSA:
			plain = append(plain, gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256)
		default:
			plain = append(plain, typ)
		}
	}
	all := slices.Concat(certified, plain)
	supported := gossh.SupportedAlgorithms().HostKeys
	var use []string
	for _, a := range supported {
		if slices.Contains(all, a) {
			use = append(use, a)
		}
	}
	if len(known) > 0 && len(use) == 0 {
		return nil, fmt.Errorf("the host is known only by keys of types that are not supported (%s:%d): %w",
			known[0].Filename, known[0].Line, conn.ErrHostKey)
	}
	return use, nil
}

// isAuthority reports whether a line names an authority for host certificates.
func isAuthority(k knownhosts.KnownKey) (bool, error) {
	f, err := os.Open(k.Filename)
	if err != nil {
		return false, fmt.Errorf("read known hosts: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for range k.Line {
		if !lines.Scan() {
			return false, lines.Err()
		}
	}
	return strings.HasPrefix(strings.TrimSpace(lines.Text()), "@cert-authority"), nil
}

// check is the handshake's question whether key is the host's.
func (k *hostKeys) check(_ string, _ net.Addr, key gossh.PublicKey) error {
	err := k.lookup(k.address, unspecified(), key)
	unfit, ok := errors.AsType[*knownhosts.KeyError](err)
	if ok && len(unfit.Want) == 0 && k.d.o.AcceptNew {
		err = k.d.record(k.address, key)
		unfit, ok = errors.AsType[*knownhosts.KeyError](err)
	}
	if err == nil {
		k.seen = true
		return nil
	}
	print := fmt.Sprintf("%s key %s", key.Type(), gossh.FingerprintSHA256(key))
	revoked, isRevoked := errors.AsType[*knownhosts.RevokedError](err)
	switch {
	case isRevoked:
		k.refusal = fmt.Errorf("the %s that %s presents is revoked in %s:%d: %w",
			print, k.host(), revoked.Revoked.Filename, revoked.Revoked.Line, conn.ErrHostKey)
	case ok && len(unfit.Want) > 0:
		k.refusal = fmt.Errorf("the %s that %s presents is not the one in %s:%d; "+
			"if the host was set up anew, remove that line, otherwise someone may be in between: %w",
			print, k.host(), unfit.Want[0].Filename, unfit.Want[0].Line, conn.ErrHostKey)
	case ok:
		k.refusal = fmt.Errorf("%s is not known: it presents the %s; "+
			"compare it and add it to %s, or pass --accept-new to record it on first sight: %w",
			k.host(), print, k.files(), conn.ErrHostKey)
	default:
		k.refusal = fmt.Errorf("check the %s that %s presents: %w: %w", print, k.host(), conn.ErrHostKey, err)
	}
	return k.refusal
}

// host is how messages call the host.
func (k *hostKeys) host() string {
	if k.name == "" || strings.HasPrefix(k.address, k.name+":") {
		return knownhosts.Normalize(k.address)
	}
	return fmt.Sprintf("%s (%s)", k.name, knownhosts.Normalize(k.address))
}

// files is the file that a key would be added to.
func (k *hostKeys) files() string { return k.d.o.KnownHosts[0] }

// types lists the types of the known keys.
func (k *hostKeys) types() string {
	var types []string
	for _, key := range k.known {
		types = append(types, key.Key.Type())
	}
	slices.Sort(types)
	return strings.Join(slices.Compact(types), ", ")
}

// record adds the key of a host that was not known when its handshake began. The
// line goes out in one write to a file opened for appending, so that another
// process doing the same does no harm.
func (d *Dialer) record(address string, key gossh.PublicKey) error {
	d.recording.Lock()
	defer d.recording.Unlock()
	// Another connection may have recorded the host meanwhile, with this key or
	// another one.
	lookup, known, err := d.known(address)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		return lookup(address, unspecified(), key)
	}
	file := d.o.KnownHosts[0]
	if err := appendLine(file, knownhosts.Line([]string{knownhosts.Normalize(address)}, key)); err != nil {
		return fmt.Errorf("record the host's key in %s: %w", file, err)
	}
	return nil
}

// appendLine adds a line to a file, which it makes if need be.
func appendLine(file, line string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	var text bytes.Buffer
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			text.WriteByte('\n')
		}
	}
	text.WriteString(line + "\n")
	if _, err := f.Write(text.Bytes()); err != nil {
		return err
	}
	return f.Sync()
}
