package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	lines  []knownLine
	// revoked is by key, for all hosts.
	revoked map[string]knownLine
	// faults are the lines that cannot be read, with the reasons. They are left
	// out, as OpenSSH does: they may be of a kind that is not known yet.
	faults []string
}

// stamp tells one state of a file from another.
type stamp struct {
	file string
	size int64
	time time.Time
}

// read returns what files say.
func (kh *knownHosts) read(files []string) (*trust, error) {
	now := &trust{revoked: map[string]knownLine{}}
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
	for _, file := range present {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read known hosts: %w: %w", conn.ErrHostKey, err)
		}
		now.add(file, text)
	}
	if kh.cached == nil {
		kh.cached = map[string]*trust{}
	}
	kh.cached[key] = now
	return now, nil
}

// add adds the lines of a file.
func (t *trust) add(file string, text []byte) {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		l, revoked, err := parseLine(line)
		l.file, l.number = file, number
		switch {
		case err != nil:
			t.faults = append(t.faults, fmt.Sprintf("%s cannot be read (%v)", l.place(), err))
		case revoked:
			t.revoked[string(l.key.Marshal())] = l
		default:
			t.lines = append(t.lines, l)
		}
	}
}

// algorithms returns the host key algorithms for the types of known keys, so that
// a host with several keys presents one we can check. No known keys give nil,
// which leaves the choice to the library.
func (t *trust) algorithms(known []knownLine) ([]string, error) {
	var plain, certified []string
	for _, k := range known {
		if k.authority {
			certified = []string{
				gossh.CertAlgoED25519v01, gossh.CertAlgoECDSA256v01, gossh.CertAlgoECDSA384v01,
				gossh.CertAlgoECDSA521v01, gossh.CertAlgoRSASHA512v01, gossh.CertAlgoRSASHA256v01,
			}
			continue
		}
		switch typ := k.key.Type(); typ {
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
		return nil, fmt.Errorf("the host is known only by keys of types that are not supported (%s): %w",
			known[0].place(), conn.ErrHostKey)
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
	if err := t.check(address, key); len(t.of(address)) > 0 {
		return err
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
