package modules

import (
	"context"
	"errors"

	"github.com/jet-bus/jet-bus/engine"
)

// copyFile is the copy module. It brings a file of this machine, or a text that
// stands in the playbook, to the host, where it replaces what is there in one step:
// nobody sees half a file. The file is sent only when its content differs.
type copyFile struct {
	// Src is the file to copy: an absolute path on this machine, or a path in
	// the folder files of the role or of the playbook. One of src and content is
	// needed.
	Src string `yaml:"src"`
	// Content is the text that the file shall hold, instead of src.
	Content *string `yaml:"content"`
	// Dest is the absolute path of the file on the host. Its directory must
	// exist. A symbolic link is followed to the file it names.
	Dest filePath `yaml:"dest,required"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`

	content content
}

// Validate checks that the content comes from exactly one place.
func (m *copyFile) Validate() error {
	switch {
	case m.Src != "" && m.Content != nil:
		return errors.New("src and content exclude each other: give one of them")
	case m.Src == "" && m.Content == nil:
		return errors.New("one of src and content is needed")
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *copyFile) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *copyFile) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if m.Content != nil {
		m.content = textContent(*m.Content)
	} else {
		name, err := h.SourcePath("files", m.Src)
		if err != nil {
			return engine.Plan{}, err
		}
		if m.content, err = localContent(name); err != nil {
			return engine.Plan{}, err
		}
	}
	return m.content.query(ctx, h, m.Dest, m.Attributes)
}

func (m *copyFile) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return engine.Result{}, m.content.apply(ctx, h, m.Dest, m.Attributes, p)
}
