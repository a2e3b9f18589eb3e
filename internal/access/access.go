package access

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// addressFile, in the data directory, says where the bus listens.
const addressFile = "address.json"

// Address says where a bus listens.
type Address struct {
	// Bus is a nats:// or tls:// address, HTTP the base of the webhooks.
	Bus  string `json:"bus"`
	HTTP string `json:"http"`
}

// Write leaves the address in the data directory.
func (a Address) Write(data string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("write the address file: %w", err)
	}
	name := filepath.Join(data, addressFile)
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the address file: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write the address file: %w", err)
	}
	return nil
}

// ReadAddress reads what Write left.
func ReadAddress(data string) (Address, error) {
	var a Address
	text, err := os.ReadFile(filepath.Join(data, addressFile))
	if err != nil {
		return a, fmt.Errorf("read the address file: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read the address file %s: %w", filepath.Join(data, addressFile), err)
	}
	return a, nil
}

// DataDir is where the state is when no flag says: $JET_DATA, /var/lib/jet-bus
// for root, a directory below the home for everybody else.
func DataDir(env proc.Env) string {
	if d := env.Getenv("JET_DATA"); d != "" {
		return d
	}
	if env.UID == 0 {
		return "/var/lib/jet-bus"
	}
	if d := env.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "jet-bus")
	}
	return filepath.Join(env.Getenv("HOME"), ".local", "share", "jet-bus")
}

// CredsFile is where the data directory keeps the credentials of a role.
func CredsFile(data, role string) string {
	return filepath.Join(data, "creds", role+".creds")
}

// Flags are the flags by which a command finds its bus.
type Flags struct {
	// Bus is the data directory of a bus on this machine, Server an address, Creds
	// a credentials file, CA a file of certificates to trust.
	Bus, Server, Creds, CA string
}

// Bind adds the flags to a command and those below it. role is the one whose credentials are taken from
// the data directory.
func (f *Flags) Bind(cmd *cobra.Command, role string) {
	fs := cmd.PersistentFlags()
	fs.StringVar(&f.Bus, "bus", "", "`directory` of a jet-bus on this machine, its --data (default $JET_DATA, else /var/lib/jet-bus for root, ~/.local/share/jet-bus for others)")
	fs.StringVar(&f.Server, "server", "", "`address` of the bus (default $JET_SERVER, else from the data directory)")
	fs.StringVar(&f.Creds, "creds", "", "credentials `file` (default $JET_CREDS, else "+role+".creds of the data directory)")
	fs.StringVar(&f.CA, "ca", "", "`file` of certificates to trust, where the bus has TLS (default: the system's)")
}

// Options returns how to connect as role.
func (f Flags) Options(env proc.Env, role string) (bus.Options, error) {
	data := cmp.Or(f.Bus, DataDir(env))
	o := bus.Options{
		URL:       cmp.Or(f.Server, env.Getenv("JET_SERVER")),
		CredsFile: cmp.Or(f.Creds, env.Getenv("JET_CREDS"), CredsFile(data, role)),
	}
	info, err := os.Stat(o.CredsFile)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return o, fmt.Errorf("credentials %s can be read by others; chmod 600 them", o.CredsFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("no credentials at %s: is jet-bus started there? Say where with --bus, or give --server and --creds", o.CredsFile)
	}
	if o.URL == "" {
		a, err := ReadAddress(data)
		if err != nil {
			return o, fmt.Errorf("%w; say where the bus is with --server", err)
		}
		o.URL = a.Bus
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return o, fmt.Errorf("read certificates: %w", err)
		}
		o.RootCAs = x509.NewCertPool()
		if !o.RootCAs.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("read certificates: there is none in %s", f.CA)
		}
	}
	return o, nil
}
