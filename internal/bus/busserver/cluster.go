package busserver

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Cluster describes several nats-server that make one bus, with the roles that
// the embedded one has.
type Cluster struct {
	Data    string   // where the keys are, made if missing
	Out     string   // where the configurations and credentials go
	Servers []string // [name=]host[:port] of each; three or five
	Store   string   // parent of each server's store, on the server
	// TLSCert, TLSKey and TLSCA are PEM files on the servers, for clients and for
	// what the servers say to each other; all or none.
	TLSCert, TLSKey, TLSCA string
	Insecure               bool // permit other than loopback addresses without TLS
}

// ClusterFiles says what WriteCluster has written.
type ClusterFiles struct {
	Configs []string // a file for each server
	Creds   []string // a file for each role
	URL     string   // where clients connect: all servers, separated by commas
}

// routeOffset is how far above a server's port for clients its port for the
// other servers is: 6222 with the usual 4222.
const routeOffset = 2000

// node is one server of a cluster.
type node struct {
	Name string
	Host string
	Port int
}

func (n node) Client() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port)) }
func (n node) Route() string  { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port+routeOffset)) }

// WriteCluster writes a configuration for each server and credentials for each
// role, and makes the keys if there are none. With these configurations plain
// nats-server processes form a cluster that jet-bus --nats can use at once.
//
// Files that exist are not touched: it fails if a configuration is there, and
// keeps credentials. With the same keys it writes the same trust again, so that
// new configurations go with old credentials.
func WriteCluster(c Cluster) (f ClusterFiles, err error) {
	f, err = writeCluster(c)
	if err != nil {
		return f, fmt.Errorf("write cluster: %w", err)
	}
	return f, nil
}

func writeCluster(c Cluster) (f ClusterFiles, err error) {
	nodes, err := c.nodes()
	if err != nil {
		return f, err
	}
	for _, n := range nodes {
		name := filepath.Join(c.Out, n.Name+".conf")
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			return f, fmt.Errorf("%s is there already; move it away, or write to another directory", name)
		}
		f.Configs = append(f.Configs, name)
	}
	dir := filepath.Join(c.Data, "keys")
	keys, err := makeKeys(dir)
	if err != nil {
		return f, err
	}
	password, err := routePassword(filepath.Join(dir, "route.password"))
	if err != nil {
		return f, err
	}
	creds := filepath.Join(c.Out, "creds")
	if err := writeCreds(creds, keys); err != nil {
		return f, err
	}
	own := filepath.Join(creds, string(RoleBus)+".creds")
	if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		issued, err := keys.Issue(RoleBus, "jet-bus", 0)
		if err != nil {
			return f, err
		}
		if err := writeSecret(own, issued); err != nil {
			return f, err
		}
	}
	for _, role := range []Role{RoleBus, RoleAdmin, RoleRunner, RolePublisher, RoleViewer} {
		f.Creds = append(f.Creds, filepath.Join(creds, string(role)+".creds"))
	}
	t, err := keys.claims()
	if err != nil {
		return f, err
	}
	var urls []string
	for i, n := range nodes {
		text, err := c.config(n, nodes, t, password)
		if err != nil {
			return f, err
		}
		if err := writeSecret(f.Configs[i], text); err != nil {
			return f, err
		}
		urls = append(urls, c.scheme()+n.Client())
	}
	f.URL = strings.Join(urls, ",")
	return f, nil
}

func (c Cluster) scheme() string {
	if c.TLSCert != "" {
		return "tls://"
	}
	return "nats://"
}

// nodes reads the servers, and refuses what cannot be a cluster or is not safe.
func (c Cluster) nodes() ([]node, error) {
	if tls := []string{c.TLSCert, c.TLSKey, c.TLSCA}; strings.Join(tls, "") != "" {
		for _, file := range tls {
			if !filepath.IsAbs(file) {
				return nil, fmt.Errorf("TLS takes a certificate, a key and the authority's certificate, with the whole path that they have on the servers; %q is none", file)
			}
		}
	}
	if n := len(c.Servers); n < 3 || n%2 == 0 {
		return nil, fmt.Errorf("a cluster has three or five servers, not %d: it works while more than half of them do", n)
	}
	var nodes []node
	names, addresses := make(map[string]bool), make(map[string]bool)
	for _, text := range c.Servers {
		n, err := parseNode(text)
		if err != nil {
			return nil, err
		}
		if names[n.Name] || addresses[n.Client()] || addresses[n.Route()] {
			return nil, fmt.Errorf("server %q has the name or a port of another; name them as in n1=192.0.2.1:4222", text)
		}
		names[n.Name], addresses[n.Client()], addresses[n.Route()] = true, true, true
		if !Loopback(n.Host) && c.TLSCert == "" && !c.Insecure {
			return nil, fmt.Errorf("%s can be reached from other machines: that needs TLS", n.Host)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// parseNode reads [name=]host[:port].
func parseNode(text string) (node, error) {
	name, addr, named := strings.Cut(text, "=")
	if !named {
		addr = text
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = strings.Trim(addr, "[]"), "4222"
	}
	n := node{Name: name, Host: host}
	if !named {
		n.Name = host
	}
	if n.Port, err = strconv.Atoi(port); err != nil || n.Port < 1 || n.Port > 65535-routeOffset {
		return node{}, fmt.Errorf("server %q: %q is not a port below %d", text, port, 65536-routeOffset)
	}
	// It is a file's name too, and both stand in a URL and in quotes.
	if !regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`).MatchString(n.Name) {
		return node{}, fmt.Errorf("server %q: name %q must be of letters, digits, dots, - and _", text, n.Name)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._:-]+$`).MatchString(n.Host) {
		return node{}, fmt.Errorf("server %q: %q is not a host", text, n.Host)
	}
	return n, nil
}

// routePassword reads what the servers know each other by, or makes it.
func routePassword(name string) (string, error) {
	text, err := os.ReadFile(name)
	switch {
	case err == nil:
		return string(bytes.TrimSpace(text)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the password of the routes: %w", err)
	}
	password := rand.Text()
	return password, writeSecret(name, []byte(password+"\n"))
}

// serverConfig is a server's configuration. Values are quoted as %q does, which
// the server's parser reads; its own strings are file names, hosts and JWTs.
const serverConfig = `# nats-server configuration of {{.Node.Name}}, a server of a jet-bus cluster. Keep it secret.
# Made by jet-bus cluster init; needs nats-server {{.MinServer}} or newer.
server_name: {{.Node.Name | printf "%q"}}
listen: {{.Node.Client | printf "%q"}}
{{- if .TLSCert}}
tls {
  cert_file: {{.TLSCert | printf "%q"}}
  key_file: {{.TLSKey | printf "%q"}}
}
{{- end}}

jetstream {
  store_dir: {{.Store | printf "%q"}}
  # What is acknowledged is on disk, on most servers. Do not change this.
  sync_interval: always
  max_memory_store: {{.MaxMemory}}
  # The streams have bounds of their own.
  max_file_store: {{.MaxStore}}
}

cluster {
  name: jet-bus
  listen: {{.Node.Route | printf "%q"}}
  authorization {
    user: route
    password: {{.Password | printf "%q"}}
    timeout: 5
  }
{{- if .TLSCert}}
  tls {
    cert_file: {{.TLSCert | printf "%q"}}
    key_file: {{.TLSKey | printf "%q"}}
    ca_file: {{.TLSCA | printf "%q"}}
    verify: true
  }
{{- end}}
  routes: [
{{- range .Others}}
    "nats-route://route:{{$.Password}}@{{.Route}}"
{{- end}}
  ]
}

operator: {{.Trust.Operator}}
system_account: {{.Trust.System}}
resolver: MEMORY
resolver_preload: {
  {{.Trust.System}}: {{.Trust.SystemJWT}}
  {{.Trust.Account}}: {{.Trust.AccountJWT}}
}
`

// config returns the configuration of one of the nodes.
func (c Cluster) config(n node, all []node, t trust, password string) ([]byte, error) {
	tmpl, err := template.New("server").Parse(serverConfig)
	if err != nil {
		return nil, fmt.Errorf("read the template of a configuration: %w", err)
	}
	var others []node
	for _, o := range all {
		if o.Name != n.Name {
			others = append(others, o)
		}
	}
	var text bytes.Buffer
	err = tmpl.Execute(&text, map[string]any{
		"Node": n, "Others": others, "Password": password, "MinServer": bus.MinServer,
		"Store":     filepath.Join(cmp.Or(c.Store, "/var/lib/nats"), n.Name),
		"MaxMemory": int64(maxMemory), "MaxStore": int64(maxStore),
		"TLSCert": c.TLSCert, "TLSKey": c.TLSKey, "TLSCA": c.TLSCA,
		"Trust": map[string]string{
			"Operator": t.operatorJWT, "System": t.system, "SystemJWT": t.systemJWT,
			"Account": t.account, "AccountJWT": t.accountJWT,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", n.Name, err)
	}
	return text.Bytes(), nil
}
