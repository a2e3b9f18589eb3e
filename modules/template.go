package modules

import (
	"context"
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/jet-bus/jet-bus/engine"
)

// templateFile is the template module. It renders a Handlebars template with the
// variables in force and brings the text to the host, where it replaces what is there
// in one step: nobody sees half a file. In the template, ENV_NAME is the variable NAME
// of Jet's own environment.
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
	return engine.Result{}, m.content.apply(ctx, h, m.Dest, m.Attributes, p)
}
