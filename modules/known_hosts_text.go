package modules

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the file format's hash
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownLine is a line of a file of known hosts. The others are comments, those with
// markers, and what nobody can read.
type knownLine struct {
	names   []string
	keyType string
	key     []byte
	// rest is what stands behind the names, with the line's end.
	rest string
}

// readKnown reads a line.
func readKnown(l string) (knownLine, bool) {
	fields := strings.Fields(l)
	if len(fields) < 3 || strings.ContainsAny(fields[0][:1], "#@") {
		return knownLine{}, false
	}
	key, err := base64.StdEncoding.DecodeString(fields[2])
	_, rest, _ := strings.Cut(l, fields[0])
	return knownLine{strings.Split(fields[0], ","), fields[1], key, rest}, err == nil
}

// has tells whether the line's key is this one.
func (k knownLine) has(key ssh.PublicKey) bool {
	return k.keyType == key.Type() && bytes.Equal(k.key, key.Marshal())
}

// without returns the line for the other hosts that share it: empty if there are none.
func (k knownLine) without(host knownName) string {
	others := slices.DeleteFunc(slices.Clone(k.names), host.is)
	if len(others) == 0 {
		return ""
	}
	return strings.Join(others, ",") + k.rest
}

// edit returns what a file that holds before shall hold.
func (m *knownHost) edit(before string) string {
	eol := lineEnd(before)
	var lines []string
	done := make([]bool, len(m.keys))
	for l := range strings.Lines(before) {
		if k, ok := readKnown(l); ok && slices.ContainsFunc(k.names, m.Host.is) {
			i := slices.IndexFunc(m.keys, k.has)
			switch {
			case m.Remove && (i >= 0 || m.keys == nil):
				l = k.without(m.Host)
			case m.Remove:
			case i >= 0 && m.Hash && slices.ContainsFunc(k.names, m.Host.inClear):
				l = k.without(m.Host)
			case i >= 0:
				done[i] = true
			case slices.ContainsFunc(m.keys, func(key ssh.PublicKey) bool { return key.Type() == k.keyType }):
				l = k.without(m.Host)
			}
		}
		if l != "" {
			lines = append(lines, l)
		}
	}
	for i, key := range m.keys {
		if !m.Remove && !done[i] {
			closeLine(lines, len(lines), eol)
			lines = append(lines, m.line(key)+eol)
		}
	}
	return strings.Join(lines, "")
}

// line is the line for a key, without its end.
func (m *knownHost) line(key ssh.PublicKey) string {
	name := string(m.Host)
	if m.Hash {
		// The salt is not random, so that a check can show what a run will write. It
		// is another for each host and key, which is what salts are for.
		salt := sha256.Sum256(slices.Concat(key.Marshal(), []byte(m.Host)))
		name = m.Host.hashed(salt[:sha1.Size])
	}
	return name + " " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}

// is tells whether a name in the file, in the clear or hashed, is this host's.
func (v knownName) is(name string) bool {
	encoded, hashed := strings.CutPrefix(name, "|1|")
	if !hashed {
		return v.inClear(name)
	}
	text, _, _ := strings.Cut(encoded, "|")
	salt, err := base64.StdEncoding.DecodeString(text)
	return err == nil && v.hashed(salt) == name
}

func (v knownName) inClear(name string) bool { return strings.ToLower(name) == string(v) }

// hashed is the name as it is stored with a salt.
func (v knownName) hashed(salt []byte) string {
	mac := hmac.New(sha1.New, salt)
	_, _ = mac.Write([]byte(v)) // never fails
	encode := base64.StdEncoding.EncodeToString
	return "|1|" + encode(salt) + "|" + encode(mac.Sum(nil))
}
