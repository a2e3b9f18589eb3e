package engine

import (
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	// maxBlocks is how deep blocks and included files may nest, maxIncluded how
	// many files one playbook may include in all.
	maxBlocks   = 20
	maxIncluded = 1000
)

// The tags in a list of tasks that are no module's.
const (
	tagBlock   = "block"
	tagInclude = "include"
	tagFlush   = "flush"
)

// structure are the names that modules cannot have.
var structure = [...]string{tagBlock, tagInclude, tagFlush}

// node is a member of a list of tasks: a task, a block of them, or the place
// where handlers run. Exactly one of its members is set.
type node struct {
	task  *task
	block *block
	flush bool
}

// block is a list of tasks with what they have in common. An included file is a
// block as well.
type block struct {
	name      string
	set       settings
	condition *template.Condition
	// vars are those of an include.
	vars map[string]any

	tasks, rescue, always []*node
}

type blockDoc struct {
	Name   *scalar     `yaml:"name"`
	Tasks  yaml.Node   `yaml:"tasks,required"`
	Rescue yaml.Node   `yaml:"rescue"`
	Always yaml.Node   `yaml:"always"`
	With   settingsDoc `yaml:"with"`
	And    blockAnd    `yaml:"and"`
}

type includeDoc struct {
	Name *scalar        `yaml:"name"`
	File *scalar        `yaml:"file,required"`
	Vars map[string]any `yaml:"vars"`
	With settingsDoc    `yaml:"with"`
	And  blockAnd       `yaml:"and"`
}

type blockAnd struct {
	IgnoreErrors bool `yaml:"ignore_errors"`
	NoLog        bool `yaml:"no_log"`
}

type flushDoc struct {
	Name *scalar `yaml:"name"`
}

func newBlock(name *scalar, w *settingsDoc, a blockAnd) *block {
	b := &block{name: textOf(name), set: w.settings()}
	b.set.ignoreErrors, b.set.noLog = a.IgnoreErrors, a.NoLog
	if w.Condition != nil {
		b.condition = w.Condition.cond
	}
	return b
}

// nodes reads a list of tasks, or of handlers. A nil or null n is an empty one.
func (p *parser) nodes(f *strictyaml.File, n *yaml.Node, handlers bool) []*node {
	n, leave := p.enter(n)
	defer leave()
	if n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.fault(f.Errorf(n, "must be a list of tasks, each beginning with \"- !\" and its module"))
		return nil
	}
	var list []*node
	for _, e := range n.Content {
		if p.cut {
			break
		}
		if t := p.node(f, e, handlers); t != nil {
			list = append(list, t)
		}
	}
	return list
}

func (p *parser) node(f *strictyaml.File, n *yaml.Node, handler bool) *node {
	at := n
	n, leave := p.enter(n)
	defer leave()
	if !p.spend(f, at) {
		return nil
	}
	name, _ := strings.CutPrefix(n.Tag, "!")
	if n.Style&yaml.TaggedStyle == 0 || !slices.Contains(structure[:], name) {
		if t := p.task(f, n, handler); t != nil {
			return &node{task: t}
		}
		return nil
	}
	if handler {
		p.fault(f.Errorf(n, "!%s cannot be among handlers", name))
		return nil
	}
	if name == tagFlush {
		if n.Kind != yaml.ScalarNode || n.Value != "" {
			p.fault(f.Decode(n, new(flushDoc)))
		}
		return &node{flush: true}
	}
	if p.blocks++; p.blocks > maxBlocks {
		p.fault(f.Errorf(n, "blocks are nested more than %d levels deep", maxBlocks))
		p.cut = true
	}
	defer func() { p.blocks-- }()
	if p.cut {
		return nil
	}
	if name == tagInclude {
		return p.include(f, n)
	}
	return p.block(f, n)
}

func (p *parser) block(f *strictyaml.File, n *yaml.Node) *node {
	var doc blockDoc
	p.fault(f.Decode(n, &doc))
	b := newBlock(doc.Name, &doc.With, doc.And)
	b.tasks = p.nodes(f, member(n, "tasks"), false)
	b.rescue = p.nodes(f, member(n, "rescue"), false)
	b.always = p.nodes(f, member(n, "always"), false)
	return &node{block: b}
}

// include reads the file of tasks that n names.
func (p *parser) include(f *strictyaml.File, n *yaml.Node) *node {
	var doc includeDoc
	p.fault(f.Decode(n, &doc))
	b := newBlock(doc.Name, &doc.With, doc.And)
	b.vars = doc.Vars
	switch {
	case doc.File == nil:
		return nil
	case strings.Contains(doc.File.text, "{{"):
		p.fault(doc.File.Errorf("file cannot be a template: included files are read before anything runs"))
	default:
		b.tasks = p.tasksFile(*doc.File, "included tasks", resolve(p.base, doc.File.text), false)
	}
	return &node{block: b}
}

// tasksFile reads a file of tasks or handlers that is named at. A file that is
// within itself is a fault.
func (p *parser) tasksFile(at scalar, what, file string, handlers bool) []*node {
	file = filepath.Clean(file)
	if i := slices.Index(p.files, file); i >= 0 {
		chain := append(slices.Clone(p.files[i:]), file)
		p.fault(at.Errorf("a file cannot include itself: %s", strings.Join(chain, " -> ")))
		return nil
	}
	if p.included++; p.included > maxIncluded {
		if p.included == maxIncluded+1 {
			p.fault(at.Errorf("more than %d files of tasks are included", maxIncluded))
		}
		p.cut = true
		return nil
	}
	f, ok := p.read(at, what, file)
	if !ok {
		return nil
	}
	p.files = append(p.files, file)
	defer func() { p.files = p.files[:len(p.files)-1] }()
	return p.nodes(f, f.Root, handlers)
}
