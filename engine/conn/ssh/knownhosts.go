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
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// knownHosts reads files of known hosts, once for all hosts until they change.
// The zero value is ready to use.
type knownHosts struct {
	mu     sync.Mutex
	cached map[string]*trust
	// recording serialises changes of the files.
	recording sync.Mutex
}

// trust is what a list of files says.
type trust struct {
	stamps []stamp
	lookup gossh.HostKeyCallback
	// authorities are the lines, file:line, of authorities for certificates.
	authorities map[string]bool
}

// stamp tells one state of a file from another.
type stamp struct {
	file string
	size int64
	time time.Time
}

// read returns what files say.
func (kh *knownHosts) read(files []string) (*trust, error) {
	now := &trust{authorities: map[string]bool{}}
	var present []string
	for _, file := range files {
		fi, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
		}
		present = append(present, file)
		now.stamps = append(now.stamps, stamp{file, fi.Size(), fi.ModTime()})
	}
	kh.mu.Lock()
	defer kh.mu.Unlock()
	key := strings.Join(files, "\x00")
	if t, ok := kh.cached[key]; ok && slices.Equal(t.stamps, now.stamps) {
		return t, nil
	}
	var err error
	if now.lookup, err = knownhosts.New(present...); err != nil {
		return nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
	}
	for _, file := range present {
		if err := now.authoritiesIn(file); err != nil {
			return nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
		}
	}
	if kh.cached == nil {
		kh.cached = map[string]*trust{}
	}
	kh.cached[key] = now
	return now, nil
}

// authoritiesIn finds the lines of a file that name authorities.
func (t *trust) authoritiesIn(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for number := 1; lines.Scan(); number++ {
		if strings.HasPrefix(strings.TrimSpace(lines.Text()), "@cert-authority") {
			t.authorities[fmt.Sprintf("%s:%d", file, number)] = true
		}
	}
	return lines.Err()
}

// of returns the lines that speak of address.
func (t *trust) of(address string) ([]knownhosts.KnownKey, error) {
	// The package tells what it knows only when it is shown a key that does not
	// fit: this one belongs to nobody.
	nobody, err := gossh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil, fmt.Errorf("make a key to look hosts up by: %w", err)
	}
	if unfit, ok := errors.AsType[*knownhosts.KeyError](t.lookup(address, unspecified(), nobody)); ok {
		return unfit.Want, nil
	}
	return nil, nil
}

// unspecified stands for the address that a name resolves to. Keys are looked up
// by the name alone: an address may be another host's tomorrow.
func unspecified() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// algorithms returns the host key algorithms for the types of known keys, so that
// a host with several keys presents one we can check. No known keys give nil,
// which leaves the choice to the library.
func (t *trust) algorithms(known []knownhosts.KnownKey) ([]string, error) {
	var plain, certified []string
	for _, k := range known {
		if t.authorities[fmt.Sprintf("%s:%d", k.Filename, k.Line)] {
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
	var use []string
	for _, a := range gossh.SupportedAlgorithms().HostKeys {
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

// record adds the key of a host that was not known when its handshake began. The
// line goes out in one write to a file opened for appending, so that another
// process doing the same does no harm.
func (kh *knownHosts) record(files []string, address string, key gossh.PublicKey) error {
	kh.recording.Lock()
	defer kh.recording.Unlock()
	// Another connection may have recorded the host meanwhile, with this key or
	// another one.
	t, err := kh.read(files)
	if err != nil {
		return err
	}
	known, err := t.of(address)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		return t.lookup(address, unspecified(), key)
	}
	if len(files) == 0 || files[0] == os.DevNull {
		// To forget it at once would be to trust any key, every time.
		return errors.New("there is no file of known hosts to record it in")
	}
	if err := appendLine(files[0], knownhosts.Line([]string{knownhosts.Normalize(address)}, key)); err != nil {
		return fmt.Errorf("record the host's key in %s: %w", files[0], err)
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
