package backup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// SameBus fails unless the keys in a directory are those that a credentials file
// was made with: the keys of another bus are of no use in a backup of this one.
func SameBus(keys, credsFile string) error {
	creds, err := os.ReadFile(credsFile)
	if err != nil {
		return fmt.Errorf("read bus credentials: %w", err)
	}
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return fmt.Errorf("read bus credentials %s: %w", credsFile, err)
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return fmt.Errorf("read bus credentials %s: %w", credsFile, err)
	}
	name := filepath.Join(keys, "account.nk")
	seed, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return fmt.Errorf("read key %s: %w", name, err)
	}
	account, err := pair.PublicKey()
	if err != nil {
		return fmt.Errorf("read key %s: %w", name, err)
	}
	if account != user.IssuerAccount {
		return fmt.Errorf("those in %s are of another bus", keys)
	}
	return nil
}
