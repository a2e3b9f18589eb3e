package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// authorizedKey is the authorized_key module. It ensures that SSH keys may log in to
// an account, or may not: that the account's file of authorized keys has a line for
// each. Keys are told apart by what they are, not by how their lines look, and other
// lines stay as they are.
//
// The file is .ssh/authorized_keys in the home directory that the host knows for the
// account. The directory is given the mode 0o700 and the file 0o600, and both are the
// account's own. A task that runs as another user follows symbolic links there only
// to what belongs to the account.
type authorizedKey struct {
	// User is the name of the account.
	User accountName `yaml:"user,required"`
	// Key is one or more public keys, each a line such as is in a .pub file. Empty
	// lines and lines that begin with # do not count.
	Key string `yaml:"key,required"`
	// Options limit what the keys may be used for, such as restrict or
	// command=/usr/bin/backup, with values as they are meant: the quotes around them
	// in the file are made here. The keys have these options and no others, so an
	// empty list takes options away. When it is not given, those that stand before a
	// key in its line are meant, and if there are none, a key that is authorized
	// already keeps its own.
	Options []string `yaml:"options"`
	// Comment is the text behind the keys in the file. When it is not given, the one
	// in the key's line is meant, and if there is none, the one in the file is kept.
	Comment *string `yaml:"comment"`
	// Remove takes the keys out of the file.
	Remove bool `yaml:"remove"`
	// Exclusive takes all other keys out of the file. Comments stay.
	Exclusive bool `yaml:"exclusive"`
	// Path is the absolute path of another file of authorized keys, which sshd has
	// been told of. It keeps its owner and mode, or is the task's user's with 0o644
	// when it is new; its directory must exist. The account need not exist then.
	Path filePath `yaml:"path"`

	keys []authorized
	file sshFile
}

// Validate reads the keys and checks what does not go together.
func (m *authorizedKey) Validate() error {
	if m.Remove && (m.Options != nil || m.Comment != nil || m.Exclusive) {
		return errors.New("remove excludes options, comment and exclusive")
	}
	var options []string
	for i, o := range m.Options {
		quoted, err := quoteOption(o)
		if err != nil {
			return fmt.Errorf("option %d: %w", i+1, err)
		}
		options = append(options, quoted)
	}
	if m.Comment != nil && hasControl(*m.Comment) {
		return errors.New("comment is more than one line of plain text")
	}
	var err error
	if m.keys, err = readKeys(m.Key); err != nil {
		return err
	}
	for i := range m.keys {
		k := &m.keys[i]
		k.exact = m.Options != nil || len(k.options) > 0
		if m.Options != nil {
			k.options = options
		}
		// sshd passes over a line with an option that it does not know: the key would be dead.
		if j := slices.IndexFunc(k.options, notAnOption); j >= 0 && !m.Remove {
			return fmt.Errorf("key %d of key: %q stands before it, which is no option of sshd", i+1, k.options[j])
		}
		if m.Comment != nil {
			k.comment, k.named = strings.Trim(*m.Comment, blanks), true
		}
		if slices.ContainsFunc(m.keys[:i], k.same) {
			return fmt.Errorf("key %d of key is there twice", i+1)
		}
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *authorizedKey) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *authorizedKey) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.file = sshFile{user: m.User, name: "authorized_keys", path: m.Path, remove: m.Remove, private: true}
	return m.file.query(ctx, h, func(before string) (string, error) { return m.edit(before), nil })
}

func (m *authorizedKey) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return engine.Result{}, m.file.apply(ctx, h, p)
}

// edit returns what a file that holds before shall hold.
func (m *authorizedKey) edit(before string) string {
	eol := lineEnd(before)
	var lines []string
	done := make([]bool, len(m.keys))
	for l := range strings.Lines(before) {
		text, end := cutEnd(l)
		has, ok := readKey(text)
		if !ok {
			// Not a comment: a key of a kind that is not known here, or a broken one.
			text = strings.TrimLeft(text, blanks)
			if !m.Exclusive || text == "" || text[0] == '#' {
				lines = append(lines, l)
			}
			continue
		}
		i := m.find(has)
		switch {
		case i < 0 && !m.Exclusive:
			lines = append(lines, l)
		case i < 0 || m.Remove:
		case done[i] && m.keys[i].exact:
			// A second line could allow what the first one does not.
		default:
			done[i] = true
			if want := m.keys[i].over(has); want.comment != has.comment || !slices.Equal(want.options, has.options) {
				l = want.line() + end
			}
			lines = append(lines, l)
		}
	}
	for i, k := range m.keys {
		if !m.Remove && !done[i] {
			closeLine(lines, len(lines), eol)
			lines = append(lines, k.line()+eol)
		}
	}
	return strings.Join(lines, "")
}

// find returns the index of the key that a line is about, -1 if it is about none. A
// key that signs certificates is another one than the same that logs in, but for
// removing it.
func (m *authorizedKey) find(has authorized) int {
	return slices.IndexFunc(m.keys, func(k authorized) bool {
		return k.same(has) && (m.Remove || k.authority() == has.authority())
	})
}
