package modules

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// etcHost is a host with a few files in memory. Its programs answer what they are
// told to; what it has no answer for succeeds and says nothing.
type etcHost struct {
	conn.Conn
	files map[string]string
	links map[string]string
	// busy are files that nothing can take the place of.
	busy map[string]bool
	// answers are what programs answer, by their arguments joined with blanks.
	answers map[string]conn.Output
	// ran are the commands that were not marked as reading only, with their input.
	ran []string
}

func (h *etcHost) User() string { return "root" }

func (h *etcHost) exists(name string) bool {
	_, file := h.files[name]
	_, link := h.links[name]
	return file || link
}

func missingFile(name string) error {
	return &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

func (h *etcHost) Stat(_ context.Context, name string) (conn.FileInfo, error) {
	if !h.exists(name) {
		return conn.FileInfo{}, missingFile(name)
	}
	return conn.FileInfo{Size: int64(len(h.files[name]))}, nil
}

func (h *etcHost) Lstat(ctx context.Context, name string) (conn.FileInfo, error) {
	info, err := h.Stat(ctx, name)
	if _, ok := h.links[name]; ok {
		info.Mode = fs.ModeSymlink
	}
	return info, err
}

func (h *etcHost) ReadLink(_ context.Context, name string) (string, error) { return h.links[name], nil }

func (h *etcHost) Inspect(ctx context.Context, name string, l conn.Look) (conn.Inspection, error) {
	info, err := h.Stat(ctx, name)
	if err != nil {
		return conn.Inspection{}, err
	}
	found := conn.Inspection{FileInfo: info}
	if info.Size <= l.Content {
		found.Content = []byte(h.files[name])
	}
	return found, nil
}

func (h *etcHost) WriteFile(_ context.Context, name string, content io.Reader, _ conn.Attr) error {
	if h.busy[name] {
		return errors.New("write " + name + ": device or resource busy")
	}
	data, err := io.ReadAll(content)
	h.files[name] = string(data)
	return err
}

func (h *etcHost) Mkdir(_ context.Context, name string, _ conn.Attr) error {
	if h.exists(name) {
		return fs.ErrExist
	}
	h.files[name] = ""
	return nil
}

func (h *etcHost) Symlink(_ context.Context, target, name string) error {
	h.links[name] = target
	return nil
}

func (h *etcHost) Rename(_ context.Context, from, to string) error {
	if h.busy[to] {
		return errors.New("rename: device or resource busy")
	}
	h.links[to] = h.links[from]
	delete(h.links, from)
	delete(h.files, to)
	return nil
}

func (h *etcHost) Remove(_ context.Context, name string) error {
	delete(h.files, name)
	delete(h.links, name)
	return nil
}

func (h *etcHost) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	argv := strings.Join(c.Argv, " ")
	if len(c.Argv) > 2 && c.Argv[1] == "-c" {
		argv = path.Base(c.Argv[0]) + " script"
	}
	if !c.ReadOnly {
		said := argv
		if c.Stdin != nil {
			data, err := io.ReadAll(c.Stdin)
			if err != nil {
				return conn.Output{}, err
			}
			said += " < " + string(data)
		}
		h.ran = append(h.ran, said)
	}
	if out, ok := h.answers[argv]; ok {
		return out, nil
	}
	if name, ok := strings.CutPrefix(argv, "cat -- "); ok {
		text, ok := h.files[name]
		if !ok {
			return conn.Output{Code: 1, Stderr: []byte("cat: " + name + ": No such file or directory\n")}, nil
		}
		return conn.Output{Stdout: []byte(text)}, nil
	}
	return conn.Output{}, nil
}

// TestEtcFileOfAContainer writes a file that is a mount point where it is, and no
// other file that cannot be replaced.
func TestEtcFileOfAContainer(t *testing.T) {
	t.Parallel()
	for name, mounts := range map[string]string{"mounted": "1 0 0:1 / /etc/hostname rw - ext4 /dev/vda rw\n", "not": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &etcHost{
				files: map[string]string{"/etc/hostname": "old\n", "/proc/self/mountinfo": mounts},
				busy:  map[string]bool{"/etc/hostname": true},
			}
			f, err := readEtc(t.Context(), h, "/etc/hostname")
			if err != nil {
				t.Fatal(err)
			}
			err = f.write(t.Context(), h, "new\n")
			wrote := strings.Join(h.ran, "|")
			if name == "mounted" && (err != nil || wrote != "tee -- /etc/hostname < new\n") {
				t.Errorf("ran %q: %v", wrote, err)
			}
			if name == "not" && (err == nil || wrote != "") {
				t.Errorf("ran %q: %v", wrote, err)
			}
		})
	}
}

func TestReadEtc(t *testing.T) {
	t.Parallel()
	h := &etcHost{files: map[string]string{"/etc/big": strings.Repeat("x", maxEtcFile+1)}}
	if f, err := readEtc(t.Context(), h, "/etc/none"); err != nil || f.exists {
		t.Errorf("a file that is missing: %v, %v", f, err)
	}
	if _, err := readEtc(t.Context(), h, "/etc/big"); err == nil {
		t.Error("a file that is too large is read")
	}
	if _, err := readProc(t.Context(), h, "/proc/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of the kernel's that is missing: %v", err)
	}
}
