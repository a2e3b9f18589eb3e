package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// auth returns the ways to log in, in the order they are tried. A password that is
// given comes first. The target's key file, or the agent's key that it chooses, is
// the only key. Otherwise those that the configuration names come first, then the
// agent's keys, then the default key files. done must be called after the handshake.
func (d *Dialer) auth(ctx context.Context, e *endpoint) (methods []gossh.AuthMethod, done func(), err error) {
	held, done := d.agentKeys(ctx, e)
	chosen, err := d.chosen(e, held)
	if err != nil && !e.jumpHost {
		return nil, done, err
	}
	if e.jumpHost {
		chosen = without(d.usual(e, held), chosen)
	}
	if t := e.target; t.Password != "" {
		methods = append(methods, gossh.Password(t.Password), gossh.KeyboardInteractive(answer(t.Password)))
	}
	if len(chosen) > 0 {
		methods = append(methods, gossh.PublicKeys(chosen...))
	}
	if len(chosen) == 0 {
		if signers := d.usual(e, held); len(signers) > 0 {
			methods = append(methods, gossh.PublicKeys(signers...))
		}
	}
	if len(methods) == 0 {
		return nil, done, fmt.Errorf("there is nothing to log in with: no key file, no agent with keys, no password: %w",
			conn.ErrAuth)
	}
	return methods, done, nil
}

// chosen are the keys that the target names, certificates first.
func (d *Dialer) chosen(e *endpoint, held []agentKey) ([]gossh.Signer, error) {
	t := e.target
	var signers []gossh.Signer
	if t.KeyFile != "" {
		signer, err := d.keys.read(t.KeyFile, t.KeyPassphrase)
		if err != nil {
			// The agent may have it open, or alone have its private half.
			k := find(held, publicKey(t.KeyFile, err))
			if k == nil {
				return nil, err
			}
			signer = k.Signer
		}
		certified, err := d.keys.certified(signer, t.KeyFile, e.config.CertificateFiles)
		if err != nil {
			return nil, err
		}
		signers = append(certified, signer)
	}
	if t.KeyComment == "" {
		return signers, nil
	}
	found := false
	for _, k := range held {
		if k.comment == t.KeyComment {
			signers, found = append(signers, k.Signer), true
		}
	}
	if !found && t.KeyFile == "" {
		return nil, fmt.Errorf("the agent holds no key with the comment %q: %w", t.KeyComment, conn.ErrAuth)
	}
	return signers, nil
}

// usual are the keys to try where the target names none.
func (d *Dialer) usual(e *endpoint, held []agentKey) []gossh.Signer {
	if e.config.NoIdentity {
		if e.config.IdentitiesOnly {
			return nil
		}
		return signers(held)
	}
	files, asked := e.config.IdentityFiles, true
	if len(files) == 0 {
		files, asked = d.defaultFiles(), false
	}
	var named []gossh.Signer
	used := map[string]bool{}
	for _, file := range files {
		// A file that is missing or locked is left out: the agent may have its key.
		signer, err := d.keys.read(file, e.target.KeyPassphrase)
		if err != nil {
			k := find(held, publicKey(file, err))
			if k == nil {
				continue
			}
			signer = k.Signer
		}
		name := string(signer.PublicKey().Marshal())
		if used[name] {
			continue
		}
		used[name] = true
		certified, err := d.keys.certified(signer, file, e.config.CertificateFiles)
		if err != nil {
			certified = nil
		}
		named = append(append(named, certified...), signer)
	}
	if e.config.IdentitiesOnly {
		return named
	}
	if asked {
		return without(named, signers(held))
	}
	return without(signers(held), named)
}

// without returns first, and of then those keys that are not among them.
func without(first, then []gossh.Signer) []gossh.Signer {
	for _, signer := range then {
		if !slices.ContainsFunc(first, func(s gossh.Signer) bool {
			return string(s.PublicKey().Marshal()) == string(signer.PublicKey().Marshal())
		}) {
			first = append(first, signer)
		}
	}
	return first
}

// defaultFiles are the key files that ssh takes by itself.
func (d *Dialer) defaultFiles() []string {
	if d.o.Home == "" {
		return nil
	}
	var files []string
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		files = append(files, filepath.Join(d.o.Home, ".ssh", name))
	}
	return files
}

// answer gives the password to the one hidden question that password logins by
// dialogue ask, and nothing to any other.
func answer(password string) gossh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		if len(questions) == 0 {
			return nil, nil
		}
		if len(questions) != 1 || echos[0] {
			return nil, errors.New("the host asks for more than a password")
		}
		return []string{password}, nil
	}
}

// agentKey is a key that the agent holds.
type agentKey struct {
	gossh.Signer
	comment string
}

func signers(held []agentKey) []gossh.Signer {
	out := make([]gossh.Signer, len(held))
	for i, k := range held {
		out[i] = k.Signer
	}
	return out
}

// find returns the agent's key for a public key, or nil.
func find(held []agentKey, key gossh.PublicKey) *agentKey {
	if key == nil {
		return nil
	}
	i := slices.IndexFunc(held, func(k agentKey) bool {
		return string(k.PublicKey().Marshal()) == string(key.Marshal())
	})
	if i < 0 {
		return nil
	}
	return &held[i]
}

// agentKeys asks the agent for its keys. An agent that does not answer is none.
func (d *Dialer) agentKeys(ctx context.Context, e *endpoint) ([]agentKey, func()) {
	none := func() {}
	if e.agentSocket == "" {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", e.agentSocket)
	if err != nil {
		return nil, none
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	client := agent.NewClient(c)
	listed, err := client.List()
	var all []gossh.Signer
	if err == nil {
		all, err = client.Signers()
	}
	if !stop() || err != nil {
		_ = c.Close()
		return nil, none
	}
	held := make([]agentKey, len(all))
	for i, signer := range all {
		held[i].Signer = signer
		for _, k := range listed {
			if string(k.Blob) == string(signer.PublicKey().Marshal()) {
				held[i].comment = k.Comment
			}
		}
	}
	return held, func() { _ = c.Close() }
}
