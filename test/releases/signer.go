package releases

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/ssh"
)

// signer signs as minisign and as ssh-keygen do.
type signer struct {
	key ed25519.PrivateKey
	id  []byte
	pub ssh.Signer
}

func newSigner() signer {
	seed := bytes.Repeat([]byte("releases"), ed25519.SeedSize/len("releases"))
	key := ed25519.NewKeyFromSeed(seed)
	pub, err := ssh.NewSignerFromKey(key)
	must(err)
	return signer{key: key, id: seed[:8], pub: pub}
}

// minisignKey is the public key as minisign writes it.
func (s signer) minisignKey() string {
	public, _ := s.key.Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(slices.Concat([]byte("Ed"), s.id, public))
}

// sshKey is the public key as OpenSSH writes it.
func (s signer) sshKey() string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(s.pub.PublicKey())))
}

// minisign signs the hash of a text.
func (s signer) minisign(text []byte) []byte {
	const comment = "timestamp:1735689600\tfile:asset"
	hash := blake2b.Sum512(text)
	sig := ed25519.Sign(s.key, hash[:])
	global := ed25519.Sign(s.key, slices.Concat(sig, []byte(comment)))
	return fmt.Appendf(nil, "untrusted comment: signature of a test\n%s\ntrusted comment: %s\n%s\n",
		base64.StdEncoding.EncodeToString(slices.Concat([]byte("ED"), s.id, sig)),
		comment, base64.StdEncoding.EncodeToString(global))
}

// ssh signs as ssh-keygen -Y sign -n file does.
func (s signer) ssh(text []byte) []byte {
	hash := sha512.Sum512(text)
	signed := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{
		"file", "", "sha512", string(hash[:]),
	})...)
	sig, err := s.pub.Sign(rand.Reader, signed)
	must(err)
	blob := append([]byte("SSHSIG"), ssh.Marshal(struct {
		Version                               uint32
		Key, Namespace, Reserved, Hash, Proof string
	}{1, string(s.pub.PublicKey().Marshal()), "file", "", "sha512", string(ssh.Marshal(sig))})...)
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob})
}
