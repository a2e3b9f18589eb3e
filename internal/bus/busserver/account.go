package busserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nkeys"
)

// accountKey is the key whose public half names the directory of the streams.
const accountKey = "account.nk"

// batchesDir is where, in a stream's directory, the server stages batches.
const batchesDir = "batches"

// storeDir is where the server keeps the streams of an account.
func storeDir(dir, account string) string {
	return filepath.Join(dir, "js", "jetstream", account, "streams")
}

// accountOf names the account of the keys in a data directory.
func accountOf(dir string) (string, error) {
	pair, err := readSeed(filepath.Join(dir, "keys", accountKey), nkeys.PrefixByteAccount)
	if err != nil {
		return "", err
	}
	return pair.PublicKey()
}

// keysFit refuses keys that cannot be those of the store in a data directory: the
// server would make a second store beside it. used is true if there is known to have
// been one.
func keysFit(dir string, used bool) error {
	accounts, err := stored(dir)
	if err != nil {
		return err
	}
	account, err := accountOf(dir)
	const remedy = "(a backup made on this machine has them, unless it was made with --no-keys), or restore a backup to a new data directory; nothing was changed"
	switch {
	case errors.Is(err, fs.ErrNotExist) && (used || len(accounts) > 0):
		return fmt.Errorf("%s is missing, though %s holds a store: put the keys back %s", filepath.Join(dir, "keys", accountKey), dir, remedy)
	case errors.Is(err, fs.ErrNotExist):
		return nil // they are made
	case err != nil:
		return err
	case len(accounts) > 0 && !slices.Contains(accounts, account):
		return fmt.Errorf("%s is not of the store that %s holds: put back the keys it was made with %s", filepath.Join(dir, "keys", accountKey), dir, remedy)
	}
	return nil
}

// stored names the accounts that have streams in a data directory.
func stored(dir string) (accounts []string, err error) {
	all, err := entries(filepath.Join(dir, "js", "jetstream"))
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		streams, err := entries(storeDir(dir, a))
		if err != nil {
			return nil, err
		}
		if len(streams) > 0 {
			accounts = append(accounts, a)
		}
	}
	return accounts, nil
}

// entries names the directories in one that need not be there.
func entries(dir string) (names []string, err error) {
	all, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for a store: %w", err)
	}
	for _, e := range all {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
