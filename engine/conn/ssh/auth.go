package ssh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// auth returns the ways to log in, in the order they are tried. The target's key
// file, when it names one, is the only key. Otherwise the agent's keys come
// first, then the default key files. A password comes before keys that nobody
// asked for: a host counts every key as a failed attempt. done must be called
// after the handshake.
func (d *Dialer) auth(ctx context.Context, t conn.Target) (methods []gossh.AuthMethod, done func(), err error) {
	done = func() {}
	if t.KeyFile != "" {
		signer, err := readKey(t.KeyFile, t.KeyPassphrase)
		if err != nil {
			return nil, done, err
		}
		methods = append(methods, gossh.PublicKeys(signer))
	}
	if t.Password != "" {
		methods = append(methods, gossh.Password(t.Password), gossh.KeyboardInteractive(answer(t.Password)))
	}
	if t.KeyFile == "" {
		signers, hangUp := d.agentKeys(ctx)
		done = hangUp
		signers = append(signers, d.defaultKeys(t.KeyPassphrase)...)
		if len(signers) > 0 {
			methods = append(methods, gossh.PublicKeys(signers...))
		}
	}
	if len(methods) == 0 {
		return nil, done, fmt.Errorf("there is nothing to log in with: no key file, no agent with keys, no password: %w",
			conn.ErrAuth)
	}
	return methods, done, nil
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

// agentKeys asks the agent for its keys. An agent that does not answer is none.
func (d *Dialer) agentKeys(ctx context.Context) ([]gossh.Signer, func()) {
	none := func() {}
	if d.o.AgentSocket == "" {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.ConnectTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", d.o.AgentSocket)
	if err != nil {
		return nil, none
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	signers, err := agent.NewClient(c).Signers()
	if !stop() || err != nil {
		_ = c.Close()
		return nil, none
	}
	return signers, func() { _ = c.Close() }
}

// defaultKeys reads the key files that ssh takes by itself; missing and locked
// ones are left out.
func (d *Dialer) defaultKeys(passphrase string) []gossh.Signer {
	if d.o.Home == "" {
		return nil
	}
	var signers []gossh.Signer
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		signer, err := readKey(filepath.Join(d.o.Home, ".ssh", name), passphrase)
		if err == nil {
			signers = append(signers, signer)
		}
	}
	return signers
}

// readKey reads a private key. Its errors never show what is in the file.
func readKey(file, passphrase string) (gossh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("key file %s does not exist: %w", file, conn.ErrAuth)
		}
		return nil, fmt.Errorf("read key file: %w: %w", conn.ErrAuth, err)
	}
	signer, err := gossh.ParsePrivateKey(text)
	if _, locked := errors.AsType[*gossh.PassphraseMissingError](err); !locked {
		if err != nil {
			return nil, fmt.Errorf("key file %s holds no private key that can be read: %w", file, conn.ErrAuth)
		}
		return signer, nil
	}
	if passphrase == "" {
		return nil, fmt.Errorf("key file %s needs a passphrase: %w", file, conn.ErrAuth)
	}
	signer, err = gossh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
	if err != nil {
		return nil, fmt.Errorf("the passphrase does not open key file %s: %w", file, conn.ErrAuth)
	}
	return signer, nil
}
