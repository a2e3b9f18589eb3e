package sftpfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// failing is a server on which every write fails without a reason.
type failing struct {
	sftp.FileCmder
	free uint64
}

func (f failing) Filewrite(*sftp.Request) (io.WriterAt, error) { return f, nil }
func (f failing) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	return nil, os.ErrNotExist
}
func (failing) WriteAt([]byte, int64) (int, error) { return 0, sftp.ErrSSHFxFailure }
func (f failing) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	return &sftp.StatVFS{Frsize: 4096, Bavail: f.free}, nil
}

func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for free, want := range map[uint64]string{0: "no space left on the device", 1 << 20: "the host gave no reason"} {
		ours, theirs := net.Pipe()
		h := failing{FileCmder: sftp.InMemHandler().FileCmd, free: free}
		server := sftp.NewRequestServer(theirs, sftp.Handlers{FilePut: h, FileCmd: h, FileList: h})
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve()
		}()
		s, session := over(t, direct(ours))
		err := s.Write(t.Context(), "/file", strings.NewReader("text"), keep)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, syscall.ENOSPC) != (free == 0) {
			t.Errorf("with %d blocks free: error %v, want %q", free, err, want)
		}
		_ = session.Close()
		_ = server.Close()
		<-served
	}
}

// A connection that breaks in the middle of a write leaves the old file.
func TestBrokenWrite(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 1, 100, 20_000, 500_000} {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		server := openssh(t)
		s, session := over(t, direct(server))
		if _, err := s.Stat(t.Context(), file, true); err != nil {
			t.Fatal(err)
		}
		content := io.MultiReader(
			io.LimitReader(zeros{}, after),
			readerFunc(func([]byte) (int, error) { return 0, server.Close() }),
			io.LimitReader(zeros{}, 1<<20))
		err := s.Write(t.Context(), file, content, keep)
		if !errors.Is(err, conn.ErrUnreachable) {
			t.Errorf("after %d bytes: error %v", after, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "old" {
			t.Errorf("after %d bytes the file holds %q (%v)", after, text, err)
		}
		_ = session.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	n, err := f(p)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

// A session whose server went away is opened again.
func TestReopened(t *testing.T) {
	t.Parallel()
	var last io.ReadWriteCloser
	opened := 0
	session := NewSession(func(context.Context) (*Pipe, error) {
		opened++
		last = openssh(t)
		return direct(last), nil
	})
	defer session.Close()
	s := NewSystem(session, run)
	for range 2 {
		if _, err := s.Stat(t.Context(), "/", true); err != nil {
			t.Fatal(err)
		}
	}
	_ = last.Close()
	for range 3 {
		// Until the end has been noticed, an operation may fail.
		if _, err := s.Stat(t.Context(), "/", true); err == nil {
			break
		} else if !errors.Is(err, conn.ErrUnreachable) {
			t.Fatal(err)
		}
	}
	if opened != 2 {
		t.Errorf("the session was opened %d times", opened)
	}
	_ = session.Close()
	if _, err := s.Stat(t.Context(), "/", true); !errors.Is(err, conn.ErrUnreachable) {
		t.Errorf("after the end: %v", err)
	}
}

// A server that says nothing is not waited for without end.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	for _, given := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, theirs)
			}()
			pipe := direct(ours)
			// The host need not agree that the pipe is closed.
			pipe.Close = func() error { return nil }
			pipe.Explain = func(err error) error { return fmt.Errorf("explained: %w", err) }
			s, session := over(t, pipe)
			ctx, cancel := context.WithTimeoutCause(t.Context(), given, errors.New("given up"))
			defer cancel()
			start := time.Now()
			_, err := s.Stat(ctx, "/", true)
			want, after := "explained: no answer within 30s", greetTime
			if given < greetTime {
				want, after = "given up", given
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
			if took := time.Since(start); took != after {
				t.Errorf("after %s, want %s", took, after)
			}
			_ = ours.Close()
			_ = session.Close()
			<-read
		})
	}
}

// A session can be closed while its server is silent.
func TestCloseOfASilentServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s, session := over(t, direct(ours))
		ended := make(chan error, 1)
		go func() { _, err := s.Stat(t.Context(), "/", true); ended <- err }()
		if _, err := io.ReadFull(theirs, make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_ = session.Close()
		if err := <-ended; err == nil || time.Since(start) > 0 {
			t.Errorf("error %v after %s", err, time.Since(start))
		}
		_ = theirs.Close()
	})
}

// Handles that are given out for operations that were given up are closed.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := openssh(t)
	files := func() int {
		entries, err := os.ReadDir("/proc/" + strconv.Itoa(server.(*process).cmd.Process.Pid) + "/fd")
		if err != nil {
			conntest.Missing(t, "/proc is needed: "+err.Error())
		}
		return len(entries)
	}
	synctest.Test(t, func(t *testing.T) {
		s, session := over(t, far(server, oneWay))
		if _, err := s.Stat(t.Context(), "/", true); err != nil {
			t.Fatal(err)
		}
		before := files()
		stopped := errors.New("stopped by the test")
		for _, op := range []func(context.Context) error{
			func(ctx context.Context) error {
				r, err := s.Open(ctx, file)
				if err == nil {
					_, err = io.Copy(io.Discard, r)
					_ = r.Close()
				}
				return err
			},
			func(ctx context.Context) error { _, err := s.ReadDir(ctx, dir); return err },
			func(ctx context.Context) error {
				_, err := s.Inspect(ctx, file, conn.Look{Sum: true, Size: -1})
				return err
			},
			func(ctx context.Context) error { return s.Write(ctx, file+"2", strings.NewReader("x"), keep) },
		} {
			for _, later := range []time.Duration{oneWay / 2, 3 * oneWay, 5 * oneWay} {
				ctx, cancel := context.WithTimeoutCause(t.Context(), later, stopped)
				if err := op(ctx); err != nil && !errors.Is(err, stopped) {
					t.Errorf("error %v", err)
				}
				cancel()
			}
		}
		time.Sleep(10 * oneWay)
		// They are closed behind the next request.
		for range 2 {
			if _, err := s.Stat(t.Context(), "/", true); err != nil {
				t.Fatal(err)
			}
		}
		if after := files(); after != before {
			t.Errorf("the server has %d files open, %d before", after, before)
		}
		_ = session.Close()
	})
	names, err := os.ReadDir(dir)
	if err != nil || len(names) > 2 || len(names) == 2 && names[1].Name() != "file2" {
		t.Errorf("files left: %v (%v)", names, err)
	}
}

// Opening a FIFO would stop the server for all.
func TestNoFIFOIsOpened(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := over(t, direct(openssh(t)))
	for range 2 {
		found, err := s.Inspect(t.Context(), file, conn.Look{Sum: true, Size: -1, Content: 1 << 20})
		if err != nil || found.Mode.Type() != fs.ModeNamedPipe || found.Sum != nil || found.Content != nil {
			t.Errorf("inspect: %+v, %v", found, err)
		}
	}
	if err := s.Write(t.Context(), file, strings.NewReader("x"), keep); !errors.Is(err, fs.ErrExist) {
		t.Errorf("write: %v", err)
	}
}

// A file's size does not matter to the memory that it takes.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads a large file")
	}
	const size, most = 64 << 20, 1 << 20
	s, _ := over(t, direct(openssh(t)))
	file := filepath.Join(t.TempDir(), "large")
	if _, err := s.Stat(t.Context(), "/", true); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	var peak atomic.Uint64
	look := func() {
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapAlloc-min(before, m.HeapAlloc)))
	}
	var seen int
	content := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		if seen += len(p); seen > 8<<20 {
			look()
			seen = 0
		}
		return zeros{}.Read(p)
	}), size)
	if err := s.Write(t.Context(), file, content, keep); err != nil {
		t.Fatal(err)
	}
	t.Logf("writing takes %d KiB", peak.Load()>>10)
	r, err := s.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var read int64
	n, err := io.Copy(writerFunc(func(p []byte) (int, error) {
		if read += int64(len(p)); read > 8<<20 {
			look()
			read = 0
		}
		return len(p), nil
	}), r)
	if err != nil || n != size {
		t.Errorf("%d bytes were read: %v", n, err)
	}
	if peak.Load() > most {
		t.Errorf("up to %d KiB were in use", peak.Load()>>10)
	}
	t.Logf("up to %d KiB in use", peak.Load()>>10)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A server that gives less than it is asked for is asked again.
func TestShortReads(t *testing.T) {
	t.Parallel()
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, server := range []io.ReadWriteCloser{openssh(t), library(t)} {
		s, session := over(t, direct(server))
		src, err := s.open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for i := 0; ; i++ {
			data, err := src.next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if i == 2 {
				// As if the server had given less.
				data = data[:len(data)-1000]
				src.offset -= 1000
				if err := src.short(t.Context(), 20_000); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, data...)
		}
		src.close(t.Context())
		if !bytes.Equal(got, content) {
			t.Errorf("%d bytes were read as %d", len(content), len(got))
		}
		_ = session.Close()
	}
}
