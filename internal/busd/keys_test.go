package busd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contents is every file and directory below one, and what the files hold.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			out[name] = "directory"
			return err
		}
		text, err := os.ReadFile(name)
		out[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// twoStores returns the options of a bus that has stopped with the event e1, and those
// of another that has stopped.
func twoStores(t *testing.T) (o, other Options) {
	t.Helper()
	o = options(t)
	p, stop := run(t, o)
	if err := accept(t.Context(), p.Bus, "e1", 0, 0); err != nil {
		t.Fatal(err)
	}
	stop()
	other = options(t)
	p, err := Start(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	p.close(t.Context())
	return o, other
}

// A store is not opened without the keys that it was made with, and nothing is made
// in their place: with them back, all is there.
func TestStartWithoutKeysOfTheStore(t *testing.T) {
	t.Parallel()
	o, other := twoStores(t)

	for _, tc := range []struct {
		name string
		do   func(dir string) error
		want string
	}{
		{"no keys", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "keys")) }, "account.nk is missing, though"},
		{"no key of the account", func(dir string) error { return os.Remove(filepath.Join(dir, "keys", "account.nk")) }, "account.nk is missing, though"},
		{"keys of another store", func(dir string) error {
			if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(other.Data, "keys")))
		}, "account.nk is not of the store"},
		{"neither keys nor store", func(dir string) error {
			if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
				return err
			}
			return os.RemoveAll(filepath.Join(dir, "js"))
		}, "account.nk is missing, though"},
		{"no keys and no high water", func(dir string) error {
			if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
				return err
			}
			return os.Remove(filepath.Join(dir, waterFile))
		}, "account.nk is missing, though"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, accept := range []bool{false, true} {
				o := o
				o.Data, o.AcceptLoss = copied(t, o.Data), accept
				if err := tc.do(o.Data); err != nil {
					t.Fatal(err)
				}
				before := contents(t, o.Data)
				p, err := Start(t.Context(), o)
				if err == nil {
					p.close(t.Context())
					t.Fatal("it started")
				}
				if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "restore a backup") || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want %q and what to do", err, tc.want)
				}
				if diff := cmp.Diff(before, contents(t, o.Data)); diff != "" {
					t.Errorf("the directory has changed (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// An account beside the one of the keys is none of ours: it is neither looked at nor
// in the way.
func TestStartBesideAnotherAccount(t *testing.T) {
	t.Parallel()
	o, other := twoStores(t)
	if err := os.CopyFS(filepath.Join(o.Data, "js"), os.DirFS(filepath.Join(other.Data, "js"))); err != nil {
		t.Fatal(err)
	}
	if n, err := filepath.Glob(filepath.Join(o.Data, "js", "jetstream", "*", "streams", "EVENTS")); err != nil || len(n) != 2 {
		t.Fatalf("the test wants two accounts, there are %v (%v)", n, err)
	}
	crashed(t, o.Data)
	p, _ := run(t, o)
	if !stored(t, p.Bus)["e1"] {
		t.Error("the event is gone")
	}
}
