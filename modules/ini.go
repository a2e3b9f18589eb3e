package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// ini is the ini module. It ensures that a section of an INI file holds options with
// the values given, or holds them no more, and leaves all other lines alone,
// comments and blank lines included. Names are exact, upper and lower case differ.
//
// A line is a section's name in brackets, an option, an equals sign and its value, or
// a comment that begins with # or ;. What follows the equals sign is the value as a
// whole, without the blanks around it: quotes and comments in it are part of it.
// Where an option stands several times in its section, the last one counts and is the
// one to be changed. An option whose value goes on in the next line, because it ends
// in a backslash or the next line is indented deeper, is not changed: the task fails.
// How options are written, with blanks around the equals sign or without, stays as it
// is, and is taken over by new ones.
//
// The result holds backup, the path of the copy that was kept, if one was.
type ini struct {
	// Path is the absolute path of the file. A symbolic link is followed to the
	// file it names.
	Path filePath `yaml:"path,required"`
	// Section is the section's name, without brackets. When it is not given, the
	// options are those before the first section.
	Section string `yaml:"section"`
	// Option is the name of one option.
	Option string `yaml:"option"`
	// Value is the value of option, and may be empty.
	Value *string `yaml:"value"`
	// Values are several options and their values, instead of option and value.
	// New ones are added in the order of their names.
	Values map[string]string `yaml:"values"`
	// Create makes the file when it does not exist; otherwise that is a failure.
	Create bool `yaml:"create"`
	// Remove takes option out of the section, as often as it stands there. Without
	// option it takes the whole section out.
	Remove bool `yaml:"remove"`
	// Backup keeps a copy of the file as it was, beside it, with the time in its
	// name.
	Backup bool `yaml:"backup"`
	// Check is a command line for the host's shell that must succeed before the file
	// is put in place, such as visudo -cf %s. %s stands for the new file, which lies
	// beside the old one under a name with the same end; the path is one word whatever
	// it holds. When it fails, the old file stays and the output is shown. It is not
	// run in check mode, nor when the file's content stays as it is.
	Check validation `yaml:"validate"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`

	file edit
}

// Validate checks what does not go together, and what no INI file can hold.
func (m *ini) Validate() error {
	switch {
	case m.Remove && (m.Value != nil || m.Values != nil || m.Create):
		return errors.New("remove excludes value, values and create")
	case m.Remove && m.Option == "" && m.Section == "":
		return errors.New("remove needs option, section or both, to say what")
	case m.Values != nil && (m.Option != "" || m.Value != nil):
		return errors.New("values excludes option and value: give one or the other")
	case !m.Remove && len(m.Values) == 0 && (m.Option == "" || m.Value == nil):
		return errors.New("option and value are needed, or values")
	}
	if err := checkSection(m.Section); err != nil {
		return err
	}
	if m.Option != "" {
		if err := checkOption(m.Option); err != nil {
			return err
		}
	}
	for name, value := range m.Values {
		if err := errors.Join(checkOption(name), checkValue(value)); err != nil {
			return err
		}
	}
	if m.Value != nil {
		return checkValue(*m.Value)
	}
	return nil
}

// blanks are what stands between the words of a line without a meaning.
const blanks = " \t"

// unfit says why text cannot be a part of a line, if it cannot.
func unfit(what, text string) error {
	switch {
	case strings.ContainsAny(text, "\r\n\x00"):
		return fmt.Errorf("%s holds more than one line", what)
	case strings.Trim(text, blanks) != text:
		return fmt.Errorf("%s begins or ends with a blank, which an INI file does not keep", what)
	}
	return nil
}

func checkSection(name string) error {
	if strings.ContainsAny(name, "[]") {
		return errors.New("section holds a bracket: give the name without the brackets around it")
	}
	return unfit("section", name)
}

func checkOption(name string) error {
	switch {
	case name == "":
		return errors.New("the name of an option is empty")
	case strings.Contains(name, "="):
		return errors.New("the name of an option holds an equals sign")
	case strings.ContainsAny(name[:1], "[#;"):
		return errors.New("the name of an option begins as a section or a comment does")
	}
	return unfit("the name of an option", name)
}

func checkValue(value string) error {
	if strings.HasSuffix(value, `\`) {
		return errors.New("value ends in a backslash, which would join the next line to it")
	}
	return unfit("value", value)
}

// Preview reads ahead what Query reads.
func (m *ini) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *ini) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.file = edit{path: m.Path, create: m.Create, remove: m.Remove, backup: m.Backup, validate: m.Check, attributes: m.Attributes}
	return m.file.query(ctx, h, m.edit)
}

func (m *ini) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.file.apply(ctx, h, p)
}
