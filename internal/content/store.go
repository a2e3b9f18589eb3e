package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// transferTimeout bounds a transfer whose context has no deadline; the client
// would allow five seconds, too little for a large bundle on a slow line.
const transferTimeout = 5 * time.Minute

// fresh is how old a stored bundle may be to be left as it is. An older one is stored
// anew: one that nothing refers to is removed after a day, and whoever puts it is
// about to refer to it.
const fresh = 12 * time.Hour

// Put stores a bundle under its digest. A bundle that was stored lately is left as it
// is. When Put returns nil the store has acknowledged all of it.
func Put(ctx context.Context, store jetstream.ObjectStore, b Bundle) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	old, err := store.GetInfo(ctx, b.Digest)
	if err == nil && time.Since(old.ModTime) < fresh {
		return nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("looking for bundle %s in the store: %w", b.Digest, err)
	}
	if _, err := store.Put(ctx, jetstream.ObjectMeta{Name: b.Digest}, bytes.NewReader(b.Data)); err != nil {
		return fmt.Errorf("storing bundle %s: %w", b.Digest, err)
	}
	return nil
}

// Fetch returns the directory below cacheDir that holds the bundle named digest,
// after getting it from the store if it is not there; see [Unpack]. A bundle
// that the store does not have gives [jetstream.ErrObjectNotFound].
func Fetch(ctx context.Context, store jetstream.ObjectStore, digest, cacheDir string) (string, error) {
	dir, ok, err := cached(digest, cacheDir)
	if err != nil || ok {
		return dir, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	object, err := get(ctx, store, digest)
	if err != nil {
		return "", fmt.Errorf("fetching bundle %s: %w", digest, err)
	}
	defer object.Close() //nolint:errcheck // the digest says whether all was read
	return Unpack(ctx, object, digest, cacheDir)
}

// Get returns the bundle named digest from the store, as [Put] has stored it; its Files and Size are not filled in.
// The data is trusted no more than that of [Unpack]. A bundle that the store does not have gives
// [jetstream.ErrObjectNotFound].
func Get(ctx context.Context, store jetstream.ObjectStore, digest string) (_ Bundle, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	object, err := get(ctx, store, digest)
	if err != nil {
		return Bundle{}, fmt.Errorf("fetching bundle %s: %w", digest, err)
	}
	defer object.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(object, maxArchive))
	if err != nil {
		return Bundle{}, fmt.Errorf("fetching bundle %s: %w", digest, err)
	}
	return Bundle{Digest: digest, Data: data}, nil
}

// get asks a few times for a bundle that is not there: on a cluster any replica may
// answer, also one that has not received it yet.
func get(ctx context.Context, store jetstream.ObjectStore, digest string) (jetstream.ObjectResult, error) {
	const tries, again = 4, 300 * time.Millisecond
	for n := 1; ; n++ {
		object, err := store.Get(ctx, digest)
		if !errors.Is(err, jetstream.ErrObjectNotFound) || n == tries {
			return object, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(again):
		}
	}
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, transferTimeout)
}
