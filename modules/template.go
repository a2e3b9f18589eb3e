package modules

import (
	"context"
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/engine"
)

// templateFile is the template module. It renders a template with the variables in
// force and ensures that a file of the host holds what comes of it. In the template,
// ENV_NAME is the variable NAME of Jet's own environment.
//
// The result holds backup, the path of the copy that was kept, if one was.
type templateFile struct {
	// Src is the template: an absolute path on this machine, or a path in the
	// folder templates of the role or of the playbook. It must be UTF-8 text.
	Src string `yaml:"src,required"`
	// Dest is the absolute path of the file on the host. Its directory must
	// exist. A symbolic link is followed to the file it names.
	Dest filePath `yaml:"dest,required"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`
	// Check is a command line for the host's shell that must succeed before the
	// file is put in place, such as visudo -cf %s. %s stands for the new file, which
	// lies beside the old one under a name with the same end, with its owner and mode;
	// the path is one word whatever it holds, so write no quotes around %s. When it fails,
	// the old file stays and the output is shown. It is not run in check mode, nor
	// when the content stays as it is.
	Check validation `yaml:"validate"`
	// Backup keeps a copy of the file as it was, beside it, with the time in its
	// name.
	Backup bool `yaml:"backup"`

	content content
}

// Preview reads ahead what Query reads.
func (m *templateFile) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

// Query renders the template, in check mode too, so that faults show early.
func (m *templateFile) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	name, err := h.SourcePath("templates", m.Src)
	if err != nil {
		return engine.Plan{}, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return engine.Plan{}, err
	}
	if !utf8.Valid(text) {
		return engine.Plan{}, fmt.Errorf("template %s is not UTF-8 text; use the copy module for other files", name)
	}
	environ := make(map[string]any, len(h.Environ))
	for k, v := range h.Environ {
		environ["ENV_"+k] = v
	}
	out, err := h.Render(name, string(text), environ)
	if err != nil {
		return engine.Plan{}, err
	}
	m.content = textContent(out)
	return m.content.query(ctx, h, m.Dest, m.Attributes)
}

func (m *templateFile) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	r := replacement{content: m.content, dest: m.Dest, attrs: m.Attributes, validate: m.Check, backup: m.Backup}
	return r.apply(ctx, h, p)
}
