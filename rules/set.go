package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Set is a sound set of rules. It is immutable and safe for concurrent use; a
// changed directory makes a new Set.
type Set struct {
	rules  []*Rule
	judged []*Rule // in the order they are judged in
	index  index   // finds positions in judged
	digest string
	idle   sync.Pool // evaluations that are not at work
}

// Digest returns the SHA-256, in hex, over the names and contents of the files
// of the set: the same files below any directory have the same digest.
func (s *Set) Digest() string { return s.digest }

// Rules returns all rules, by file name, and in a file as they stand. The slice
// must not be changed.
func (s *Set) Rules() []*Rule { return s.rules }

// Load reads every *.yml and *.yaml file below dir as one set. Names that begin
// with a dot are left out, directories too, and so are *_test.yml and *_test.yaml,
// which are cases for rules. If anything is wrong with any of
// them, the error joins all faults with their places, and there is no set. A
// directory without such files is an empty set.
func Load(fsys fs.FS, dir string) (*Set, error) {
	names, err := ruleFiles(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("reading rules from %s: %w", dir, err)
	}
	l := &loader{lang: newLanguage(), names: map[string]strictyaml.Pos{}}
	sum := sha256.New()
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			l.fault(fmt.Errorf("reading rules from %s: %w", name, err))
			continue
		}
		hashPart(sum, strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(dir)), "/"))
		hashPart(sum, string(data))
		l.file(name, data)
	}
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return newSet(l.rules, hex.EncodeToString(sum.Sum(nil))), nil
}

func newSet(rules []*Rule, digest string) *Set {
	s := &Set{rules: rules, judged: judgingOrder(rules), digest: digest}
	markOrdered(s.judged)
	s.index = newIndex(s.judged)
	return s
}

// hashPart adds s with its length before it, so that no two lists of parts look
// the same.
func hashPart(h interface{ Write([]byte) (int, error) }, s string) {
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s)))) // never fails
	_, _ = h.Write([]byte(s))
}

func ruleFiles(fsys fs.FS, dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		ext := path.Ext(name)
		if !d.IsDir() && (ext == ".yml" || ext == ".yaml") && !strings.HasSuffix(name, "_test"+ext) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// loader collects the rules of all files and what is wrong with them.
type loader struct {
	lang  *language
	rules []*Rule
	names map[string]strictyaml.Pos
	errs  []error
}

func (l *loader) fault(errs ...error) {
	for _, err := range errs {
		if err != nil {
			l.errs = append(l.errs, err)
		}
	}
}
