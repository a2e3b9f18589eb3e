package modules

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/ssh"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// errSignature means that a signature does not hold.
var errSignature = errors.New("the signature is not that of public_key")

// verifier tells whether a signature of what r holds is that of a public key.
type verifier interface {
	verify(r io.Reader, signature []byte) error
}

// signingKey is a public key of minisign or OpenSSH; nil when none was given.
type signingKey struct {
	verifier
	// suffix is what the names of signatures of this kind end with.
	suffix string
	// print is what the key is known by.
	print string
}

// UnmarshalNode takes a scalar that is a public key.
func (k *signingKey) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return f.Errorf(n, "must be a public key")
	}
	key, err := parseSigningKey(n.Value)
	if err != nil {
		return f.Pos(n).Wrap(err)
	}
	*k = key
	return nil
}

func parseSigningKey(text string) (signingKey, error) {
	text = strings.TrimSpace(text)
	sum := sha256.Sum256([]byte(text))
	k := signingKey{print: hex.EncodeToString(sum[:8])}
	if key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text)); err == nil {
		if _, cert := key.(*ssh.Certificate); cert || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
			return signingKey{}, errors.New("public_key must be one key of OpenSSH, without options, and no certificate")
		}
		k.verifier, k.suffix = sshKey{key}, ".sig"
		return k, nil
	}
	// A file of minisign has a comment before the key.
	raw, err := base64.StdEncoding.DecodeString(text[strings.LastIndexByte(text, '\n')+1:])
	if err != nil || len(raw) != 42 || string(raw[:2]) != "Ed" {
		return signingKey{}, errors.New("public_key must be a key of minisign (RW…) or of OpenSSH (ssh-ed25519 …)")
	}
	k.verifier = minisignKey{id: [8]byte(raw[2:10]), key: ed25519.PublicKey(raw[10:])}
	k.suffix = ".minisig"
	return k, nil
}

// minisignKey is a public key of minisign.
type minisignKey struct {
	id  [8]byte
	key ed25519.PublicKey
}

// maxLegacy is how large a file may be whose signature is not of its hash, in bytes.
const maxLegacy = 64 << 20

func (k minisignKey) verify(r io.Reader, signature []byte) error {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(signature), "\r\n", "\n")), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[2], "trusted comment: ") {
		return errors.New("the signature is not one of minisign, as public_key is")
	}
	sig, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil || len(sig) != 74 {
		return errors.New("the signature of minisign is damaged")
	}
	global, err := base64.StdEncoding.DecodeString(lines[3])
	if err != nil {
		return errors.New("the signature of minisign is damaged")
	}
	if [8]byte(sig[2:10]) != k.id {
		return fmt.Errorf("%w: it was made with another key", errSignature)
	}
	var message []byte
	switch string(sig[:2]) {
	case "ED":
		h, err := blake2b.New512(nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		message = h.Sum(nil)
	case "Ed":
		if message, err = io.ReadAll(io.LimitReader(r, maxLegacy+1)); err != nil {
			return err
		}
		if len(message) > maxLegacy {
			return errors.New("the signature is of minisign's old kind, which is for small files")
		}
	default:
		return errors.New("the signature of minisign is of an unknown kind")
	}
	comment := strings.TrimPrefix(lines[2], "trusted comment: ")
	if !ed25519.Verify(k.key, message, sig[10:]) || !ed25519.Verify(k.key, slices.Concat(sig[10:], []byte(comment)), global) {
		return errSignature
	}
	return nil
}

// sshKey is a public key of OpenSSH.
type sshKey struct{ ssh.PublicKey }

// sshNamespace is what signatures of files are for, as ssh-keygen -n says it.
const sshNamespace = "file"

// sshSignature is what ssh-keygen -Y sign writes, in its armour.
type sshSignature struct {
	Magic                                   [6]byte
	Version                                 uint32
	Key                                     []byte
	Namespace, Reserved, Algorithm, Content string
}

// sshMessage is what is signed.
type sshMessage struct {
	Magic                          [6]byte
	Namespace, Reserved, Algorithm string
	Hash                           []byte
}

func (k sshKey) verify(r io.Reader, signature []byte) error {
	block, _ := pem.Decode(signature)
	if block == nil || block.Type != "SSH SIGNATURE" {
		return errors.New("the signature is not one of ssh-keygen, as public_key is")
	}
	var s sshSignature
	var content ssh.Signature
	if ssh.Unmarshal(block.Bytes, &s) != nil || string(s.Magic[:]) != "SSHSIG" || s.Version != 1 ||
		ssh.Unmarshal([]byte(s.Content), &content) != nil {
		return errors.New("the signature of ssh-keygen is damaged")
	}
	if s.Namespace != sshNamespace {
		return fmt.Errorf("the signature is for %q, not for a file: ssh-keygen -Y sign -n file makes those", s.Namespace)
	}
	if !bytes.Equal(s.Key, k.Marshal()) {
		return fmt.Errorf("%w: it was made with another key", errSignature)
	}
	var h hash.Hash
	switch s.Algorithm {
	case "sha256":
		h = sha256.New()
	case "sha512":
		h = sha512.New()
	default:
		return fmt.Errorf("the signature is of a hash called %q, which is not known", s.Algorithm)
	}
	if k.Type() == ssh.KeyAlgoRSA && content.Format == ssh.KeyAlgoRSA {
		return errors.New("the signature uses SHA-1, which is not to be trusted")
	}
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	signed := ssh.Marshal(sshMessage{
		Magic: s.Magic, Namespace: s.Namespace, Reserved: s.Reserved, Algorithm: s.Algorithm, Hash: h.Sum(nil),
	})
	if k.Verify(signed, &content) != nil {
		return errSignature
	}
	return nil
}
