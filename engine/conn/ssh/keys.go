package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// keyRing keeps the private keys that were read: to open one with its passphrase
// takes a tenth of a second, for every host anew. The zero value is ready to use.
type keyRing struct {
	mu   sync.Mutex
	keys map[keyRef]gossh.Signer
}

// keyRef names one state of a key file.
type keyRef struct {
	stamp
	passphrase string
}

// read reads a private key. Its errors never show what is in the file.
func (r *keyRing) read(file, passphrase string) (gossh.Signer, error) {
	fi, err := os.Stat(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("key file %s does not exist: %w", file, conn.ErrAuth)
		}
		return nil, fmt.Errorf("read key file: %w: %w", conn.ErrAuth, err)
	}
	ref := keyRef{stamp{file, fi.Size(), fi.ModTime()}, passphrase}
	r.mu.Lock()
	defer r.mu.Unlock()
	if signer, ok := r.keys[ref]; ok {
		return signer, nil
	}
	signer, err := readKey(file, passphrase)
	if err != nil {
		return nil, err
	}
	if r.keys == nil {
		r.keys = map[keyRef]gossh.Signer{}
	}
	r.keys[ref] = signer
	return signer, nil
}

// lockedError is a private key that needs a passphrase; key is its public half,
// where the file tells.
type lockedError struct {
	file string
	key  gossh.PublicKey
}

func (e *lockedError) Error() string { return "key file " + e.file + " needs a passphrase" }

// Is makes it a refused login.
func (e *lockedError) Is(target error) bool { return target == conn.ErrAuth }

func readKey(file, passphrase string) (gossh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w: %w", conn.ErrAuth, err)
	}
	signer, err := gossh.ParsePrivateKey(text)
	locked, isLocked := errors.AsType[*gossh.PassphraseMissingError](err)
	if !isLocked {
		if err != nil {
			return nil, fmt.Errorf("key file %s holds no private key that can be read: %w", file, conn.ErrAuth)
		}
		return signer, nil
	}
	if passphrase == "" {
		return nil, &lockedError{file, locked.PublicKey}
	}
	signer, err = gossh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
	if err != nil {
		return nil, fmt.Errorf("the passphrase does not open key file %s: %w", file, conn.ErrAuth)
	}
	return signer, nil
}

// publicKey is the public half of a key file that could not be read because of
// err, or nil.
func publicKey(file string, err error) gossh.PublicKey {
	if locked, ok := errors.AsType[*lockedError](err); ok && locked.key != nil {
		return locked.key
	}
	for _, name := range []string{file + ".pub", file} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if key, _, _, _, err := gossh.ParseAuthorizedKey(text); err == nil {
			return key
		}
	}
	return nil
}

// certified returns signer with each certificate that was issued for its key: the
// one beside its file (KEY-cert.pub), where there is one, and those in more.
func (r *keyRing) certified(signer gossh.Signer, file string, more []string) ([]gossh.Signer, error) {
	var out []gossh.Signer
	for i, name := range append([]string{file + "-cert.pub"}, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			if i == 0 && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("read certificate: %w: %w", conn.ErrAuth, err)
		}
		key, _, _, _, err := gossh.ParseAuthorizedKey(text)
		cert, ok := key.(*gossh.Certificate)
		if err != nil || !ok || cert.CertType != gossh.UserCert {
			return nil, fmt.Errorf("file %s holds no user's certificate: %w", name, conn.ErrAuth)
		}
		if !bytes.Equal(cert.Key.Marshal(), signer.PublicKey().Marshal()) {
			continue
		}
		with, err := gossh.NewCertSigner(cert, signer)
		if err != nil {
			return nil, fmt.Errorf("use certificate %s: %w: %w", name, conn.ErrAuth, err)
		}
		out = append(out, with)
	}
	return out, nil
}
