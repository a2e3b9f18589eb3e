package lab

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// keyPair is the key every user of a lab host lets in. It is made for one call of [Hosts].
type keyPair struct {
	file       string // path of the private key
	authorized []byte // the line for authorized_keys
}

func newKeyPair(dir string) (keyPair, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("making an ssh key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "jet-bus lab")
	if err != nil {
		return keyPair{}, fmt.Errorf("encoding an ssh key: %w", err)
	}
	file := filepath.Join(dir, "id_ed25519")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return keyPair{}, fmt.Errorf("writing an ssh key: %w", err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		return keyPair{}, fmt.Errorf("encoding an ssh key: %w", err)
	}
	return keyPair{file: file, authorized: ssh.MarshalAuthorizedKey(line)}, nil
}

// archive is a tar of the authorized_keys files, to be unpacked at the root of a new host: the image
// itself holds no key. Numeric owners are those of the image's users.
func (k keyPair) archive() (*bytes.Buffer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, home := range []struct {
		dir string
		id  int
	}{{"root", 0}, {"home/ops", 1000}, {"home/plain", 1001}} {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: home.dir + "/.ssh/authorized_keys", Mode: 0o600,
			Uid: home.id, Gid: home.id, Size: int64(len(k.authorized)),
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("packing %s: %w", header.Name, err)
		}
		if _, err := w.Write(k.authorized); err != nil {
			return nil, fmt.Errorf("packing %s: %w", header.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing authorized keys: %w", err)
	}
	return &buf, nil
}
