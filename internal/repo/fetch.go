package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// fetched is the reference to what was fetched last.
	fetched = "refs/jet/fetched"
	// maxClone bounds the clone, in bytes: a repository may hold much more than the directory that is read.
	maxClone = 1 << 30
	// watchClone is how often its size is looked at during a fetch.
	watchClone = 500 * time.Millisecond
	// manyPacks is how many fetches are kept before what is not needed is removed.
	manyPacks = 20
)

var errLarge = fmt.Errorf("the newest commit takes more than %d MiB", maxClone>>20)

// Fetch asks the repository for its newest commit, gets it if it is not here yet, and returns its id.
func (r *Repo) Fetch(ctx context.Context) (commit string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch %s from %s: %w", r.o.Ref, r.o.URL, err)
		}
	}()
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	if err := r.prepare(ctx); err != nil {
		return "", err
	}
	extra, err := r.token()
	if err != nil {
		return "", err
	}
	name, tip, err := r.resolve(ctx, extra)
	if err != nil {
		return "", err
	}
	if have, err := r.git(ctx, "rev-parse", "--verify", "--quiet", fetched); err == nil && have == tip {
		if commit, err = r.commit(ctx); err == nil {
			return commit, nil
		}
	}
	err = r.get(ctx, extra, name)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errLarge) {
		// It answers, and yet nothing comes of it: perhaps the clone is damaged. It is only a cache.
		if err = r.renew(ctx); err == nil {
			err = r.get(ctx, extra, name)
		}
	}
	if err != nil {
		return "", err
	}
	if commit, err = r.commit(ctx); err != nil {
		return "", err
	}
	r.tidy(outer)
	return commit, nil
}

// commit returns the commit that was fetched, which a tag may only lead to.
func (r *Repo) commit(ctx context.Context) (string, error) {
	id, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", fetched+"^{commit}")
	if err != nil || !hexPattern().MatchString(id) {
		return "", fmt.Errorf("%s is not a commit", r.o.Ref)
	}
	return id, nil
}

// prepare makes the clone if it is not there, and removes what a git that was ended has left in it.
func (r *Repo) prepare(ctx context.Context) error {
	for _, pattern := range []string{"*.lock", "refs/jet/*.lock", "objects/pack/tmp_*", "objects/tmp_*"} {
		left, _ := filepath.Glob(filepath.Join(r.o.Dir, pattern))
		for _, name := range left {
			_ = os.Remove(name)
		}
	}
	if _, err := os.Stat(filepath.Join(r.o.Dir, "HEAD")); err == nil {
		return nil
	}
	return r.renew(ctx)
}

// renew makes the clone anew, empty.
func (r *Repo) renew(ctx context.Context) error {
	if err := os.RemoveAll(r.o.Dir); err != nil {
		return fmt.Errorf("make the clone: %w", err)
	}
	if err := os.MkdirAll(r.o.Dir, 0o700); err != nil {
		return fmt.Errorf("make the clone: %w", err)
	}
	version, err := r.git(ctx, "version")
	if err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("git says that it is %q", version)
	}
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return fmt.Errorf("git is %d.%d, content from a repository needs %d.%d or later", major, minor, oldestMajor, oldestMinor)
	}
	_, err = r.git(ctx, "init", "--quiet", "--bare", "--template=", r.o.Dir)
	return err
}

// resolve returns the full name of the reference and what it points to in the repository. A commit's id is both.
func (r *Repo) resolve(ctx context.Context, extra []string) (name, tip string, err error) {
	if hexPattern().MatchString(r.o.Ref) {
		return r.o.Ref, r.o.Ref, nil
	}
	names := []string{"refs/heads/" + r.o.Ref, "refs/tags/" + r.o.Ref}
	if strings.HasPrefix(r.o.Ref, "refs/") {
		names = []string{r.o.Ref}
	}
	var out strings.Builder
	cmd, said := r.command(ctx, extra, append([]string{"ls-remote", "--quiet", "--", r.o.URL}, names...)...)
	cmd.Stdout = &limited{w: &out, left: 1 << 20}
	if err := cmd.Run(); err != nil {
		return "", "", r.failure(ctx, err, said.String())
	}
	tips := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		if id, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && hexPattern().MatchString(id) {
			tips[ref] = id
		}
	}
	for _, n := range names {
		if tips[n] != "" {
			return n, tips[n], nil
		}
	}
	return "", "", fmt.Errorf("the repository has no branch and no tag %s", r.o.Ref)
}

// get fetches a reference, whatever was fetched before, and stops when it is too much.
func (r *Repo) get(ctx context.Context, extra []string, name string) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd, said := r.command(ctx, extra, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--force",
		"--no-write-fetch-head", "--", r.o.URL, "+"+name+":"+fetched)
	if err := cmd.Start(); err != nil {
		return r.failure(ctx, err, "")
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(watchClone)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if sizeOf(r.o.Dir) > maxClone {
				stop(errLarge)
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	<-watched
	if err != nil {
		return r.failure(ctx, err, said.String())
	}
	return nil
}

// tidy removes from time to time what earlier fetches have left.
func (r *Repo) tidy(ctx context.Context) {
	packs, _ := filepath.Glob(filepath.Join(r.o.Dir, "objects/pack/*.pack"))
	loose, _ := filepath.Glob(filepath.Join(r.o.Dir, "objects/??"))
	if len(packs) < manyPacks && len(loose) < 250 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	_, _ = r.git(ctx, "gc", "--quiet", "--prune=now") // if it fails, there is another time
}

// sizeOf adds up the files below a directory, as far as they can be seen.
func sizeOf(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // git makes and removes files meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}
