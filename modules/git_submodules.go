package modules

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// staleSubmodules tells whether a submodule is missing, or at another commit than
// the one that is checked out names.
func (r gitRepo) staleSubmodules(ctx context.Context) (bool, error) {
	out, err := r.read(ctx, "submodule", "status", "--recursive")
	if err != nil {
		return false, fmt.Errorf("looking at the submodules: %w", err)
	}
	// A blank at the beginning of a line says that a submodule is as it should be.
	return slices.ContainsFunc(strings.Split(strings.TrimRight(out, "\n"), "\n"), func(l string) bool {
		return l != "" && l[0] != ' '
	}), nil
}

// updateSubmodules brings all submodules to the commits that are named.
func (r gitRepo) updateSubmodules(ctx context.Context, depth uint16, force bool) error {
	args := []string{"submodule", "--quiet", "update", "--init", "--recursive"}
	if depth > 0 {
		args = append(args, "--depth", strconv.Itoa(int(depth)))
	}
	if force {
		args = append(args, "--force")
	}
	// The addresses may have changed with the version.
	for _, args := range [][]string{{"submodule", "--quiet", "sync", "--recursive"}, args} {
		if _, err := r.git(ctx, args...); err != nil {
			return fmt.Errorf("bringing the submodules: %w", err)
		}
	}
	return nil
}
