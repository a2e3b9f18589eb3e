package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// systemKnownHosts is the file of known hosts for all users of a host.
const systemKnownHosts = "/etc/ssh/ssh_known_hosts"

// knownHost is the known_host module. It ensures that a file of known hosts, as the
// SSH programs read it, has the keys of a host, or knows the host no more. A line
// that has another key of the same type for the host is replaced; keys of other types
// stay, and so do lines with patterns or markers and all lines of other hosts. Names
// that are hashed in the file are found. The keys are not asked from the network,
// where anybody may answer.
type knownHost struct {
	// Host is the name or the address that users connect to, or [name]:port where
	// the port is not 22. Upper and lower case are the same.
	Host knownName `yaml:"host,required"`
	// Key is one or more public keys of the host, each a line with its type and its
	// base64. The host's name may stand before them, as ssh-keyscan prints it, and
	// empty lines and lines that begin with # do not count. It is needed unless
	// remove is given; then the host is forgotten with all its keys, or with these
	// only.
	Key *string `yaml:"key"`
	// Path is the absolute path of the file, which is made when it does not exist.
	// It is /etc/ssh/ssh_known_hosts when neither path nor user is given.
	Path filePath `yaml:"path"`
	// User is an account whose own file is meant: .ssh/known_hosts in the home
	// directory that the host knows for it. It is made with the mode 0o600, and its
	// directory with 0o700. A task that runs as another user follows symbolic links
	// there only to what belongs to the account. It excludes path.
	User accountName `yaml:"user"`
	// Hash hides the host's name in the file: it is stored as a hash, and a name
	// that is there in the clear with the same key is replaced. When it is not given
	// a new name is stored in the clear, and one that is there stays as it is.
	Hash bool `yaml:"hash"`
	// Remove forgets the host.
	Remove bool `yaml:"remove"`

	keys []ssh.PublicKey
	file sshFile
}

// Validate reads the keys and checks what does not go together.
func (m *knownHost) Validate() error {
	switch {
	case m.Path != "" && m.User != "":
		return errors.New("path and user exclude each other: give one of them")
	case m.Remove && m.Hash:
		return errors.New("remove excludes hash")
	case !m.Remove && m.Key == nil:
		return errors.New("key is missing")
	case m.Key == nil:
		return nil
	}
	keys, err := readKeys(*m.Key)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if len(k.options) > 0 && !slices.ContainsFunc(k.options, m.Host.is) {
			return fmt.Errorf("the name before key %d of key is not the one of host", i+1)
		}
		if slices.ContainsFunc(keys[:i], k.same) {
			return fmt.Errorf("key %d of key is there twice", i+1)
		}
		m.keys = append(m.keys, k.key)
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *knownHost) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *knownHost) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.file = sshFile{user: m.User, name: "known_hosts", path: m.Path, remove: m.Remove}
	if m.Path == "" && m.User == "" {
		m.file.path = systemKnownHosts
	}
	return m.file.query(ctx, h, func(before string) (string, error) { return m.edit(before), nil })
}

func (m *knownHost) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return engine.Result{}, m.file.apply(ctx, h, p)
}

// knownName is the name of a host as it stands in a file of known hosts: in lower
// case, and with a port other than 22 as [name]:port.
type knownName string

var knownNamePattern = lazyregexp.New(`^(?:[A-Za-z0-9_:][A-Za-z0-9._:%-]*|\[[A-Za-z0-9_:][A-Za-z0-9._:%-]*\]:[1-9][0-9]{0,4})$`)

// UnmarshalNode takes a name, an address, or one of them in brackets with a port.
func (v *knownName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 255 || !knownNamePattern().MatchString(n.Value) {
		return f.Errorf(n, "must be the name or the address of one host, or [name]:port")
	}
	if strings.Count(n.Value, ":") == 1 && n.Value[0] != '[' {
		return f.Errorf(n, "%q has one colon: write a port as [name]:port", n.Value)
	}
	*v = knownName(knownhosts.Normalize(strings.ToLower(n.Value)))
	return nil
}
