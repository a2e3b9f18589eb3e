package cli

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// change changes the webhooks file: edit is given its text, and what it names must be
// there when it returns. The new file takes the place of the old one at once, or, on an
// error, not at all.
func (w *webhooks) change(edit func(text *webhook.Text, all []webhook.Named) error) (err error) {
	name := w.path()
	if to, err := filepath.EvalSymlinks(name); err == nil {
		name = to
	}
	// The file to be is the lock, too.
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s.new is there: the file is being changed, or that was broken off; then remove it", name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no directory %s; jet-bus makes its data directory when it starts first, --bus names another", filepath.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("change webhooks: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	defer func() { _ = f.Close() }()
	text, all, err := w.text()
	if err != nil {
		return err
	}
	if err := edit(text, all); err != nil {
		return err
	}
	if _, err := webhook.Parse(w.path(), text.Bytes()); err != nil {
		return err
	}
	if info, serr := os.Stat(name); serr == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	_, werr := f.Write(text.Bytes())
	if err := errors.Join(err, werr, likeDirectory(f), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("change webhooks: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("change webhooks: %w", err)
	}
	return nil
}

// likeDirectory gives a file to the owner of its directory, so that a jet-bus can read
// what root writes for it. It does not go by the name: who owns the directory could put a
// link to a file of root's there meanwhile.
func likeDirectory(f *os.File) error {
	dir, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	owner, ok := dir.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// writeSecret writes a secret beside the webhooks file and returns the name of its file
// there, which was not there before.
func (w *webhooks) writeSecret(hook, secret string) (string, error) {
	for n := 1; ; n++ {
		base := hook + ".secret"
		if n > 1 {
			base = hook + "-" + strconv.Itoa(n) + ".secret"
		}
		name := filepath.Join(filepath.Dir(w.path()), base)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) && n < 100 {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("write secret: %w", err)
		}
		_, err = io.WriteString(f, secret+"\n")
		if err := errors.Join(err, likeDirectory(f), f.Sync(), f.Close()); err != nil {
			return "", errors.Join(fmt.Errorf("write secret: %w", err), os.Remove(name))
		}
		return base, nil
	}
}

// secretBytes is how many random bytes a secret holds.
const secretBytes = 32

// newSecret makes a secret, or takes the one in the file from, - for standard input.
func (w *webhooks) newSecret(kind webhook.Kind, from string) (string, error) {
	switch {
	case from == "-":
		line, err := w.nextLine()("secret")
		return strings.TrimSpace(line), err
	case from != "":
		data, err := os.ReadFile(from)
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSpace(string(data)), nil
	case kind == webhook.SourceHut:
		return "", proc.Usagef("SourceHut signs with a key of its own: give the file with its public key as --secret-from")
	}
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails
	if kind == webhook.GitLab || kind == webhook.Standard {
		return "whsec_" + base64.StdEncoding.EncodeToString(key), nil
	}
	return hex.EncodeToString(key), nil
}

// dropSecrets removes files of secrets that were made by this command for a hook, unless
// another hook has them, and returns the names of those that are left.
func (w *webhooks) dropSecrets(hook string, files []string, others []webhook.Named) (left []string, err error) {
	for _, file := range files {
		used := slices.ContainsFunc(others, func(n webhook.Named) bool { return slices.Contains(n.SecretFiles, file) })
		ours := strings.HasPrefix(file, hook) && strings.HasSuffix(file, ".secret") && filepath.Base(file) == file
		switch {
		case used:
		case !ours:
			left = append(left, file)
		default:
			if rerr := os.Remove(filepath.Join(filepath.Dir(w.path()), file)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
	}
	return left, err
}
