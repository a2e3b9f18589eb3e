package plans

import (
	"fmt"
	"os"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Published returns the types of the events that the tasks of a playbook publish,
// also those of its roles, sorted; none for a playbook that no rule runs. What a
// module does beside is not known.
func (p *Plans) Published(playbook string) ([]string, error) {
	pb := p.playbooks[playbook]
	if pb == nil {
		return nil, nil
	}
	tasks, err := pb.Tasks(engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("list the tasks of %s: %w", playbook, err)
	}
	files := map[string]*strictyaml.File{}
	var out []string
	for _, t := range tasks {
		if t.Module != "publish" {
			continue
		}
		f := files[t.Pos.File]
		if f == nil {
			data, err := os.ReadFile(t.Pos.File)
			if err != nil {
				return nil, fmt.Errorf("read what %s publishes: %w", playbook, err)
			}
			if f, err = strictyaml.Parse(t.Pos.File, data); err != nil {
				return nil, err
			}
			files[t.Pos.File] = f
		}
		if typ := typeAt(f, f.Root, t.Pos); typ != "" && !slices.Contains(out, typ) {
			out = append(out, typ)
		}
	}
	slices.Sort(out)
	return out, nil
}

// typeAt returns the key type of the mapping that stands at a place, at n or below.
func typeAt(f *strictyaml.File, n *yaml.Node, at strictyaml.Pos) string {
	if n.Kind == yaml.MappingNode && f.Pos(n) == at {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "type" {
				return n.Content[i+1].Value
			}
		}
	}
	for _, c := range n.Content {
		if typ := typeAt(f, c, at); typ != "" {
			return typ
		}
	}
	return ""
}
