package modules

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/releases"
)

// maxSumFile is how large a file of checksums or a signature may be, in bytes.
const maxSumFile = 1 << 20

func (m *githubRelease) install(ctx context.Context, h *engine.Host) error {
	f, sum, err := m.fetch(ctx, m.asset, m.MaxSize.limit())
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := m.verify(ctx, f, sum); err != nil {
		return err
	}
	if m.Extract {
		a, err := newArchive(f, m.asset.Name, m.MaxSize.limit(), int(m.Strip))
		if err != nil {
			return err
		}
		_, err = install(ctx, h.Conn, m.store, a, m.Attributes, m.origin(), m.what())
		return err
	}
	if err := m.store.forget(ctx, h.Conn, m.origin()); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	if err := writeFile(ctx, h.Conn, string(m.Dest), untilDone(ctx, f), m.Attributes); err != nil {
		return err
	}
	return m.store.note(ctx, h.Conn, m.origin(), record{What: m.what(), Files: []fileMark{{
		Path: path.Base(string(m.Dest)), Size: size, Sum: hex.EncodeToString(sum),
	}}})
}

// fetch fetches a file of the release to this machine.
func (m *githubRelease) fetch(ctx context.Context, a releases.Asset, limit int64) (f *os.File, sum checksum, err error) {
	err = m.client.Download(ctx, m.repo, m.chosen.Tag, a, func(body io.Reader) error {
		f, sum, err = spool(ctx, body, limit)
		return err
	})
	return f, sum, err
}

// verify checks all checksums there are of the file, and its signature.
func (m *githubRelease) verify(ctx context.Context, f *os.File, sum256 checksum) error {
	wants := []checksum{toldSum(m.asset), m.Checksum}
	signed := io.ReadSeeker(f)
	if m.ChecksumFile != "" {
		text, err := m.text(ctx, m.sums)
		if err != nil {
			return fmt.Errorf("fetching %s: %w", m.sums.Name, err)
		}
		listed, err := listedSum(text, m.asset.Name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", m.sums.Name, err)
		}
		wants = append(wants, listed)
		signed = strings.NewReader(text)
	}
	if m.PublicKey.verifier != nil {
		text, err := m.text(ctx, m.signature)
		if err != nil {
			return fmt.Errorf("fetching %s: %w", m.signature.Name, err)
		}
		if _, err := signed.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := m.PublicKey.verify(untilDone(ctx, signed), []byte(text)); err != nil {
			return fmt.Errorf("verifying %s: %w", m.signature.Name, err)
		}
	}
	return checkSums(ctx, f, sum256, wants)
}

// checkSums compares a file, whose SHA-256 is known, with what it must have.
func checkSums(ctx context.Context, f *os.File, sum256 checksum, wants []checksum) error {
	for _, want := range wants {
		have := []byte(sum256)
		if len(want) > 0 && len(want) != len(have) {
			h := want.hash()
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			if _, err := io.Copy(h, untilDone(ctx, f)); err != nil {
				return err
			}
			have = h.Sum(nil)
		}
		if err := want.match(have); err != nil {
			return err
		}
	}
	return nil
}

// text fetches a small file.
func (m *githubRelease) text(ctx context.Context, a releases.Asset) (string, error) {
	f, _, err := m.fetch(ctx, a, maxSumFile)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	b, err := io.ReadAll(f)
	return string(b), err
}
