package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
)

const (
	// format is raised when a backup can no longer be read by those who know the
	// one before.
	format       = 1
	manifestFile = "manifest.json"
	sumFile      = "manifest.sha256"
	hooksFile    = "hooks.yml"
	// maxManifest and maxSmall bound what is read into memory, in bytes.
	maxManifest, maxSmall = 16 << 20, 1 << 20
)

// Manifest says what is in a backup.
type Manifest struct {
	Format int `json:"format"`
	// Version is that of the jet which made it, Server that of the bus's nats-server.
	Version string    `json:"version"`
	Server  string    `json:"server"`
	Time    time.Time `json:"time"`
	Streams []Stream  `json:"streams"`
	// Files are the keys and hooks.yml.
	Files []File `json:"files,omitempty"`
}

// File is a file of a backup. Its name is relative to the backup, with slashes.
type File struct {
	Name   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Stream is the copy of a stream.
type Stream struct {
	Stream string `json:"stream"`
	File
	Messages uint64 `json:"messages"`
	FirstSeq uint64 `json:"first_seq"`
	LastSeq  uint64 `json:"last_seq"`
	// Gaps are the sequences without a message of a stream that nothing is deleted
	// from: what was lost once, which an operator accepted, and what was skipped then.
	Gaps   []Range         `json:"gaps,omitempty"`
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

// Bytes is how much a backup takes.
func (m Manifest) Bytes() int64 {
	var n int64
	for _, s := range m.Streams {
		n += s.Bytes
	}
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// HasKeys reports whether the bus's keys are in the backup.
func (m Manifest) HasKeys() bool {
	for _, f := range m.Files {
		if path.Dir(f.Name) == "keys" {
			return true
		}
	}
	return false
}

// check refuses names that a backup of ours does not have: nothing it says may
// lead outside of the directories that are ours.
func (m Manifest) check() error {
	if m.Format != format {
		return fmt.Errorf("its format is %d and this version knows %d; use the version that made it (%s) or a newer one",
			m.Format, format, m.Version)
	}
	stream := regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	file := regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|keys/[a-z-]{1,64}\.nk)$`)
	seen := make(map[string]bool)
	for _, s := range m.Streams {
		if !stream.MatchString(s.Stream) || s.Name != streamFile(s.Stream) || seen[s.Name] {
			return fmt.Errorf("its manifest names the stream %q in file %q", s.Stream, s.Name)
		}
		seen[s.Name] = true
	}
	for _, f := range m.Files {
		if !file.MatchString(f.Name) || seen[f.Name] {
			return fmt.Errorf("its manifest names the file %q", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func streamFile(name string) string { return "streams/" + name + ".snapshot" }

// sumLine is the first line of manifest.sha256, and all of it in old backups.
func sumLine(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:]) + "  " + manifestFile + "\n"
}

// sumLines is what manifest.sha256 holds: a line for every other file.
func (m Manifest) sumLines(manifest []byte) string {
	var lines strings.Builder
	lines.WriteString(sumLine(manifest))
	for _, s := range m.Streams {
		lines.WriteString(s.SHA256 + "  " + s.Name + "\n")
	}
	for _, f := range m.Files {
		lines.WriteString(f.SHA256 + "  " + f.Name + "\n")
	}
	return lines.String()
}

func readManifest(root *os.Root) (m Manifest, err error) {
	text, err := readAll(root, manifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return m, errors.New("it has no manifest.json, so it is no backup, or one that was not finished")
	}
	if err != nil {
		return m, err
	}
	sum, err := readAll(root, sumFile, maxSmall)
	if err != nil {
		return m, err
	}
	if !strings.HasPrefix(string(sum), sumLine(text)) {
		return m, damaged(manifestFile)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", manifestFile, err)
	}
	if string(sum) != m.sumLines(text) && string(sum) != sumLine(text) {
		return m, damaged(sumFile)
	}
	return m, m.check()
}

// damaged is the error for a file that is not what was written.
func damaged(name string) error {
	return fmt.Errorf("%s is damaged: it is not what the backup wrote; use another backup", name)
}

// open opens a regular file of a backup; links are none.
func open(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return root.Open(name)
}

func readAll(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := open(root, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s is too large", name)
	}
	return text, nil
}

// verified reads a file to its end through look, if there is one, and compares
// what it read with what the manifest says.
func (f File) verified(root *os.Root, look func(io.Reader) error) error {
	file, err := open(root, f.Name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil {
		return err
	} else if info.Size() != f.Bytes {
		return damaged(f.Name)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if !strings.EqualFold(hex.EncodeToString(hash.Sum(nil)), f.SHA256) {
		return damaged(f.Name)
	}
	if look == nil {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := look(file); err != nil {
		return fmt.Errorf("%s is no whole copy: %w", f.Name, err)
	}
	return nil
}
