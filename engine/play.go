package engine

import (
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// play is one play. Its variables are never changed.
type play struct {
	pos      strictyaml.Pos
	name     string
	dir      string
	groups   []scalar
	defaults map[string]any
	vars     map[string]any
	roles    []*roleCall

	sudo         string
	sudoTemplate string
	sshUser      string
	sshPort      int
	sshJump      string

	free     bool
	batches  quotas
	maxFail  quota
	set      settings // its tags and its environment
	tasks    []*node
	handlers []*node
}

type playDoc struct {
	strictyaml.Pos
	Name      string         `yaml:"name,required"`
	Groups    []scalar       `yaml:"groups,required"`
	Defaults  map[string]any `yaml:"defaults"`
	Vars      map[string]any `yaml:"vars"`
	VarsFiles []scalar       `yaml:"vars_files"`
	Roles     []roleCallDoc  `yaml:"roles"`
	Tags      words          `yaml:"tags"`
	Environ   environ        `yaml:"environment"`
	Sudo      *scalar        `yaml:"sudo"`
	SudoBy    becomeTemplate `yaml:"sudo_template"`
	SSHUser   *scalar        `yaml:"ssh_user"`
	SSHPort   port           `yaml:"ssh_port"`
	SSHJump   *scalar        `yaml:"ssh_jump"`
	Strategy  *scalar        `yaml:"strategy"`
	BatchSize quotas         `yaml:"batch_size"`
	Serial    quotas         `yaml:"serial"`
	MaxFail   quota          `yaml:"max_fail"`
	Tasks     yaml.Node      `yaml:"tasks"`
	Handlers  yaml.Node      `yaml:"handlers"`
}

// port is the number of a port; zero means that none was given.
type port int

// UnmarshalNode takes a whole number from 1 to 65535, or null.
func (v *port) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	number, err := strconv.ParseUint(n.Value, 10, 16)
	if err != nil || number == 0 {
		return f.Errorf(n, "ssh_port must be a port number, 1 to 65535, not %q", n.Value)
	}
	*v = port(number)
	return nil
}

func (p *parser) play(f *strictyaml.File, n *yaml.Node) *play {
	var doc playDoc
	err := f.Decode(n, &doc)
	p.fault(err)
	pl := &play{
		pos:          f.Pos(n),
		name:         doc.Name,
		dir:          p.dir,
		groups:       doc.Groups,
		defaults:     doc.Defaults,
		vars:         doc.Vars,
		sudo:         textOf(doc.Sudo),
		sudoTemplate: string(doc.SudoBy),
		sshUser:      textOf(doc.SSHUser),
		sshPort:      int(doc.SSHPort),
		sshJump:      textOf(doc.SSHJump),
		batches:      doc.BatchSize,
		maxFail:      doc.MaxFail,
		set:          settings{tags: doc.Tags, environ: doc.Environ},
	}
	if err == nil && len(doc.Groups) == 0 {
		p.fault(pl.pos.Errorf("a play needs at least one group"))
	}
	p.how(f, n, &doc, pl)
	for _, file := range doc.VarsFiles {
		pl.vars = p.varsFile(pl.vars, file)
	}
	for _, r := range doc.Roles {
		if call := p.roleCall(r); call != nil {
			pl.roles = append(pl.roles, call)
		}
	}
	pl.tasks = p.nodes(f, member(n, "tasks"), false)
	pl.handlers = p.nodes(f, member(n, "handlers"), true)
	return pl
}

// how reads in which order and in which batches the hosts are worked on.
func (p *parser) how(f *strictyaml.File, n *yaml.Node, doc *playDoc, pl *play) {
	if s := doc.Strategy; s != nil {
		switch s.text {
		case "linear":
		case "free":
			pl.free = true
		default:
			p.fault(s.Errorf("strategy must be linear or free, not %q%s", s.text, strictyaml.Suggest(s.text, []string{"linear", "free"})))
		}
	}
	if doc.Serial == nil {
		return
	}
	if doc.BatchSize != nil {
		p.fault(f.Errorf(member(n, "serial"), "serial is another word for batch_size; only one of them can be given"))
	}
	pl.batches = doc.Serial
}

func textOf(s *scalar) string {
	if s == nil {
		return ""
	}
	return s.text
}

// tooMany returns the error of a play that lost more hosts than it may.
func (pl *play) tooMany(failed, hosts int) error {
	return pl.pos.Wrap(fmt.Errorf("play %q was stopped: %d of %d hosts failed, and max_fail is %s", pl.name, failed, hosts, pl.maxFail))
}
