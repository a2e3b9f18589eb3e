package backup

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go/jetstream"
)

// packed compresses as the server does.
func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := s2.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entryOf is an entry as the server writes it.
func entryOf(name string, seq uint64, body string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(name)))
	b = binary.AppendVarint(b, int64(seq))
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, 0)
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(append(b, name...), body...)
}

func entries(parts ...[]byte) []byte { return append([]byte(magic), bytes.Join(parts, nil)...) }

func tarOf(t testing.TB, typ byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	hdr := &tar.Header{Name: "meta.inf", Typeflag: typ, Size: 2, Mode: 0o600}
	if typ == tar.TypeSymlink {
		hdr.Size, hdr.Linkname = 0, "/etc"
	}
	if err := w.WriteHeader(hdr); err != nil {
		t.Fatal(err)
	}
	if typ == tar.TypeReg {
		if _, err := w.Write([]byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExamine(t *testing.T) {
	t.Parallel()
	const state = `{"last_seq": 9, "consumer_count": 1}`
	first, consumer, end := entryOf("state.json", 0, state), entryOf("consumers/c", 0, "{}"), make([]byte, 5)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"whole", entries(first, consumer, entryOf("a", 2, "x"), entryOf("a", 9, "y"), end), ""},
		{"no message", entries(first, consumer, end), ""},
		{"no end", entries(first, consumer, entryOf("a", 2, "x")), "it breaks off"},
		{"half a message", entries(first, consumer, entryOf("a", 2, "xxxx")[:8]), "it breaks off"},
		{"empty", nil, "it breaks off"},
		{"not packed", []byte("junk"), "corrupt"},
		{"no state", entries(consumer, end), "does not begin with the stream's state"},
		{"state of another", entries(entryOf("state.json", 0, `{"last_seq": 8}`), end), "goes to sequence 8 and the manifest says 9"},
		{"state is junk", entries(entryOf("state.json", 0, "junk"), end), "decode the stream's state"},
		{"order", entries(first, consumer, entryOf("a", 3, "x"), entryOf("a", 3, "y"), end), "message 3 is in a wrong place"},
		{"beyond", entries(first, consumer, entryOf("a", 10, "x"), end), "message 10 is in a wrong place"},
		{"consumer missing", entries(first, entryOf("a", 1, "x"), end), "message 1 is in a wrong place"},
		{"large name", entries(binary.AppendUvarint(nil, 1<<30), make([]byte, 4)), "impossible size"},
		{"files", tarOf(t, tar.TypeReg), ""},
		{"a link", tarOf(t, tar.TypeSymlink), "which is not a regular file"},
		{"files cut short", tarOf(t, tar.TypeReg)[:513], "it breaks off"},
	} {
		data := packed(t, c.data)
		if c.name == "not packed" {
			data = c.data
		}
		err := Stream{LastSeq: 9}.examine(bytes.NewReader(data))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzExamine reads what is no copy of a stream: it must be refused, without more.
func FuzzExamine(f *testing.F) {
	f.Add(entries(entryOf("state.json", 0, `{"last_seq": 9}`), entryOf("a", 2, "x"), make([]byte, 5)))
	f.Add(tarOf(f, tar.TypeReg))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Stream{LastSeq: 9}.examine(bytes.NewReader(packed(t, data)))
		if err == nil && !bytes.HasPrefix(data, []byte(magic)) && len(data) < 512 {
			t.Errorf("%q is taken for a copy", data)
		}
		_ = Stream{LastSeq: 9}.examine(bytes.NewReader(data))
	})
}

func TestLacks(t *testing.T) {
	t.Parallel()
	// The stream had 3 to 12 and of those neither 5 nor 6.
	s := Stream{Messages: 8, FirstSeq: 3, LastSeq: 12}
	for _, c := range []struct {
		name     string
		seqs     []uint64
		after    jetstream.StreamState
		keepsAll bool
		want     uint64
	}{
		{"all", []uint64{3, 4, 7, 8, 9, 10, 11, 12}, jetstream.StreamState{Msgs: 8, FirstSeq: 3, LastSeq: 12}, true, 0},
		{"one is missing", []uint64{3, 4, 7, 8, 9, 10, 12}, jetstream.StreamState{Msgs: 8, FirstSeq: 3, LastSeq: 12}, true, 1},
		{"the first is", []uint64{4, 7, 8, 9, 10, 11, 12}, jetstream.StreamState{Msgs: 9, FirstSeq: 3, LastSeq: 13}, true, 1},
		{"the last is", []uint64{3, 4, 7, 8, 9, 10, 11}, jetstream.StreamState{Msgs: 8, FirstSeq: 3, LastSeq: 12}, true, 1},
		{"none is there", nil, jetstream.StreamState{Msgs: 8, FirstSeq: 3, LastSeq: 12}, true, 8},
		{"the first is too old", []uint64{4, 7, 8, 9, 10, 11, 12}, jetstream.StreamState{Msgs: 7, FirstSeq: 4, LastSeq: 12}, true, 0},
		{"and one is missing", []uint64{4, 7, 8, 10, 11, 12}, jetstream.StreamState{Msgs: 7, FirstSeq: 4, LastSeq: 12}, true, 1},
		{"all are too old", nil, jetstream.StreamState{FirstSeq: 13, LastSeq: 12}, true, 0},
		{"and more came", []uint64{12}, jetstream.StreamState{Msgs: 2, FirstSeq: 20, LastSeq: 21}, true, 0},
		{"some deleted", []uint64{3, 4, 7, 8, 9, 12}, jetstream.StreamState{Msgs: 9, FirstSeq: 3, LastSeq: 15}, false, 0},
		{"fewer deleted", []uint64{3, 4, 7, 8, 9, 12}, jetstream.StreamState{Msgs: 10, FirstSeq: 3, LastSeq: 15}, false, 1},
	} {
		got := contents{counted: true}
		for _, seq := range c.seqs {
			got.add(seq)
		}
		if n := s.lacks(got, c.after, c.keepsAll); n != c.want {
			t.Errorf("%s: %d, want %d", c.name, n, c.want)
		}
	}
	if n := s.lacks(contents{}, jetstream.StreamState{}, true); n != 0 {
		t.Errorf("of files that are not counted: %d", n)
	}
}
