package releases

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Asset is a file of a release.
type Asset struct {
	Name    string
	Content []byte
}

// Program is what the program tool of a release holds for a platform, such as
// linux-amd64: a script that says which one it is.
func (r Release) Program(platform string) string {
	version := r.Tag
	if r.Build > 0 {
		version = fmt.Sprintf("%s build %d", r.Tag, r.Build)
	}
	return fmt.Sprintf("#!/bin/sh\necho 'tool %s %s'\n", version, platform)
}

// assets are the files of a release. They are made once.
func (s *Site) assets(r Release) []Asset {
	key := fmt.Sprint(r.Tag, " ", r.Build)
	if made, ok := s.made.Load(key); ok {
		files, _ := made.([]Asset)
		return files
	}
	files := s.make(r)
	s.made.Store(key, files)
	return files
}

// make makes the files of a release, the checksums of these, and signatures.
func (s *Site) make(r Release) []Asset {
	files := slices.Clone(r.Files)
	if files == nil {
		files = tool(r)
	}
	var sums strings.Builder
	for _, f := range files {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(f.Content), f.Name)
	}
	text := []byte(sums.String())
	return append(files,
		Asset{"SHA256SUMS", text},
		Asset{"SHA256SUMS.minisig", s.signer.minisign(text)},
		Asset{"SHA256SUMS.sig", s.signer.ssh(text)},
		Asset{files[0].Name + ".minisig", s.signer.minisign(files[0].Content)},
	)
}

// tool is the program tool for three platforms, and an archive with it.
func tool(r Release) []Asset {
	var files []Asset
	for _, platform := range []string{"linux-amd64", "linux-arm64", "darwin-arm64"} {
		files = append(files, Asset{"tool-" + platform, []byte(r.Program(platform))})
	}
	return append(files, Asset{"tool-linux-amd64.tar.gz", archive(path.Base(r.Tag), r.Program("linux-amd64"))})
}

// archive packs a program as bin/tool in a directory named after the version.
func archive(version, program string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, f := range []struct {
		name, text string
		mode       int64
	}{{"bin/tool", program, 0o755}, {"README", "version " + version + "\n", 0o644}} {
		h := &tar.Header{Name: "tool-" + version + "/" + f.name, Mode: f.mode, Size: int64(len(f.text)), Typeflag: tar.TypeReg}
		must(t.WriteHeader(h))
		_, err := t.Write([]byte(f.text))
		must(err)
	}
	must(t.Close())
	must(z.Close())
	return b.Bytes()
}

// number is a number that nothing else has.
func number(parts ...any) int64 {
	sum := sha256.Sum256(fmt.Append(nil, parts...))
	return int64(binary.BigEndian.Uint32(sum[:4])) + 1
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// must is for what cannot fail in memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
