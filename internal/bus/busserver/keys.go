package busserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Keys are the seeds everything on the bus is trusted by: an operator that
// signs accounts, the accounts, and one signing key per role. Whoever has a
// role's key can make credentials of that role, and no other.
//
// They are safe for concurrent use and do not change once opened.
type Keys struct {
	operator, system, account nkeys.KeyPair
	role                      map[Role]nkeys.KeyPair
}

// OpenKeys reads the keys a server made in dir, which is keys in its data
// directory. It needs no running server.
func OpenKeys(dir string) (*Keys, error) {
	k, err := loadKeys(dir, readSeed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open keys: %w: jet-bus makes them at its first start", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	return k, nil
}

// makeKeys reads the keys in dir and makes those that are missing.
func makeKeys(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	k, err := loadKeys(dir, func(name string, p nkeys.PrefixByte) (nkeys.KeyPair, error) {
		pair, err := readSeed(name, p)
		if errors.Is(err, fs.ErrNotExist) {
			return makeSeed(name, p)
		}
		return pair, err
	})
	if err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return k, nil
}

// loadKeys gets every key there is.
func loadKeys(dir string, get func(name string, p nkeys.PrefixByte) (nkeys.KeyPair, error)) (*Keys, error) {
	k := &Keys{role: make(map[Role]nkeys.KeyPair)}
	var err error
	if k.operator, err = get(filepath.Join(dir, "operator.nk"), nkeys.PrefixByteOperator); err != nil {
		return nil, err
	}
	if k.system, err = get(filepath.Join(dir, "system.nk"), nkeys.PrefixByteAccount); err != nil {
		return nil, err
	}
	if k.account, err = get(filepath.Join(dir, accountKey), nkeys.PrefixByteAccount); err != nil {
		return nil, err
	}
	for _, a := range roles() {
		name := filepath.Join(dir, "role-"+string(a.role)+".nk")
		if k.role[a.role], err = get(name, nkeys.PrefixByteAccount); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func readSeed(name string, want nkeys.PrefixByte) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	seed = bytes.TrimSpace(seed)
	if p, _, err := nkeys.DecodeSeed(seed); err != nil || p != want {
		return nil, fmt.Errorf("read key %s: it holds no %s seed", name, want)
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	return pair, nil
}

func makeSeed(name string, p nkeys.PrefixByte) (nkeys.KeyPair, error) {
	pair, err := nkeys.CreatePair(p)
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", name, err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", name, err)
	}
	if err := writeSecret(name, append(seed, '\n')); err != nil {
		return nil, err
	}
	return pair, nil
}

// Issue makes a credential: a user of a role, with a name. It is what a creds
// file holds. A ttl of 0 means that it does not expire.
//
// The name becomes part of subjects: letters, digits, '-' and '_', up to 64.
// Nothing stops a name from being issued twice; such users share what is theirs.
func (k *Keys) Issue(role Role, name string, ttl time.Duration) (creds []byte, err error) {
	signer, ok := k.role[role]
	if !ok {
		return nil, fmt.Errorf("issue credential: there is no role %q", role)
	}
	if !validName(name) {
		return nil, fmt.Errorf("issue %s credential: name %q must be 1 to 64 letters, digits, - or _", role, name)
	}
	creds, err = sign(k.account, signer, role, name, ttl)
	if err != nil {
		return nil, fmt.Errorf("issue %s credential for %s: %w", role, name, err)
	}
	return creds, nil
}

func sign(account, signer nkeys.KeyPair, role Role, name string, ttl time.Duration) ([]byte, error) {
	issuer, err := account.PublicKey()
	if err != nil {
		return nil, err
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	public, err := user.PublicKey()
	if err != nil {
		return nil, err
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, err
	}
	c := jwt.NewUserClaims(public)
	c.Name = name
	c.IssuerAccount = issuer
	c.Tags.Add(bus.RoleTag + string(role))
	c.SetScoped(true)
	if ttl < 0 {
		return nil, fmt.Errorf("credentials that expire %s ago are of no use", -ttl)
	}
	if ttl > 0 {
		c.Expires = time.Now().Add(ttl).Unix()
	}
	token, err := c.Encode(signer)
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(token, seed)
}

func validName(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name)
}

// trust is what a server has to be told: whom it trusts, and the accounts.
type trust struct {
	operator       *jwt.OperatorClaims
	operatorJWT    string
	system         string // public key
	account        string // public key
	systemJWT      string
	accountJWT     string
	operatorIssuer string
}

// claims makes the operator's and the accounts' JWTs. They are made anew at
// each start, so that roles are always those of this version.
func (k *Keys) claims() (t trust, err error) {
	if t.operatorIssuer, err = k.operator.PublicKey(); err != nil {
		return trust{}, fmt.Errorf("sign accounts: %w", err)
	}
	if t.system, err = k.system.PublicKey(); err != nil {
		return trust{}, fmt.Errorf("sign accounts: %w", err)
	}
	if t.account, err = k.account.PublicKey(); err != nil {
		return trust{}, fmt.Errorf("sign accounts: %w", err)
	}
	op := jwt.NewOperatorClaims(t.operatorIssuer)
	op.Name = "jet-bus"
	op.SystemAccount = t.system
	if t.operatorJWT, err = op.Encode(k.operator); err != nil {
		return trust{}, fmt.Errorf("sign operator: %w", err)
	}
	if t.operator, err = jwt.DecodeOperatorClaims(t.operatorJWT); err != nil {
		return trust{}, fmt.Errorf("sign operator: %w", err)
	}
	sys := jwt.NewAccountClaims(t.system)
	sys.Name = "SYS"
	if t.systemJWT, err = sys.Encode(k.operator); err != nil {
		return trust{}, fmt.Errorf("sign system account: %w", err)
	}
	acc := jwt.NewAccountClaims(t.account)
	acc.Name = "JET"
	acc.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit,
		DiskStorage:   jwt.NoLimit,
		Streams:       jwt.NoLimit,
		Consumer:      jwt.NoLimit,
	}
	for _, a := range roles() {
		key, err := k.role[a.role].PublicKey()
		if err != nil {
			return trust{}, fmt.Errorf("sign role %s: %w", a.role, err)
		}
		acc.SigningKeys.AddScopedSigner(a.scope(key))
	}
	if t.accountJWT, err = acc.Encode(k.operator); err != nil {
		return trust{}, fmt.Errorf("sign account: %w", err)
	}
	return t, nil
}
