package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Load reads inventories and makes one of them. A path is a directory or an
// executable; a later one adds to groups of an earlier one, and its variables are
// blended over those before as by [Blend].
//
// An executable is run without arguments in the current directory, until ctx
// ends. Directories group_vars and host_vars beside it are read after it. Errors
// name the path; all faults of the files are reported, joined.
func Load(ctx context.Context, paths ...string) (*Inventory, error) {
	b := newBuilder()
	var errs []error
	for _, path := range paths {
		if err := b.load(ctx, path); err != nil {
			errs = append(errs, fmt.Errorf("inventory %s: %w", path, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b.build(), nil
}

func (b *builder) load(ctx context.Context, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return pathErr(err)
	case fi.IsDir():
		return b.loadDir(path)
	case fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0:
		if err := b.loadProgram(ctx, path); err != nil {
			return err
		}
		return b.loadVars(filepath.Dir(path))
	default:
		return errors.New("neither a directory nor an executable file")
	}
}

// pathErr drops the path from an error that is going to name it anyway.
func pathErr(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
