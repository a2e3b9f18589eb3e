// Package content carries the files that a job needs (playbooks, roles,
// inventory, modules) from the bus to the runners. A directory becomes a
// [Bundle], named by the SHA-256 of its files in a fixed form; the bundle goes
// into an object store, and runners unpack it into a cache under that name:
//
//	b, err := content.Build(ctx, dir)
//	err = content.Put(ctx, store, b)
//	dir, err := content.Fetch(ctx, store, digest, cacheDir)
//
// The same files give the same digest anywhere, so a job pinned to a digest
// runs what it was made with. Bundles are treated as hostile when unpacked.
//
// It knows nothing of what the files mean, and decrypts nothing.
package content
