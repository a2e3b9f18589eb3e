package releases

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// etagLife is how long a stored answer is kept after a server last confirmed it.
	etagLife = 7 * 24 * time.Hour
	// etagRenewal is how old the note of that may become: the file has all answers in
	// it, and is written whole.
	etagRenewal = 24 * time.Hour
)

// page is an answer of a server, with what says whether it is still true.
type page struct {
	ETag   string    `json:"etag"`
	Link   string    `json:"link,omitempty"`
	Body   []byte    `json:"body"`
	Stored time.Time `json:"stored"`
}

// etagStore keeps answers in a file of the process's user, which nobody else can
// read. It is safe for concurrent use; of two processes that write at once, one
// loses what it learned.
type etagStore struct{ mu sync.Mutex }

// errStore means that an answer could not be kept.
var errStore = errors.New("keeping the answer for cache_etags")

// etagFile is where the file is.
func etagFile() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "jetpack", "github_etags.json"), nil
}

// etagKey keeps apart what different tokens may see, without telling the token.
func etagKey(address, token string) string {
	if token == "" {
		return address
	}
	sum := sha256.Sum256([]byte(token))
	return address + " " + hex.EncodeToString(sum[:8])
}

// load reads what is stored and still alive. A file that cannot be read is as
// good as none.
func (s *etagStore) load() map[string]page {
	pages := make(map[string]page)
	name, err := etagFile()
	if err != nil {
		return pages
	}
	text, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(text, &pages) != nil {
		return make(map[string]page)
	}
	for key, p := range pages {
		if age := time.Since(p.Stored); age > etagLife || age < 0 {
			delete(pages, key)
		}
	}
	return pages
}

// get returns what is stored of an address, with an empty ETag when nothing is.
func (s *etagStore) get(address, token string) page {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load()[etagKey(address, token)]
}

// put stores an answer, and drops those that are too old.
func (s *etagStore) put(address, token string, p *page) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pages := s.load()
	p.Stored = time.Now().UTC()
	pages[etagKey(address, token)] = *p
	return s.save(pages)
}

// renew notes that an answer is still true. Its body need not be at hand.
func (s *etagStore) renew(address, token string, p *page) error {
	if age := time.Since(p.Stored); age >= 0 && age < etagRenewal {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pages := s.load()
	p.Stored = time.Now().UTC()
	stored, ok := pages[etagKey(address, token)]
	if !ok || stored.ETag != p.ETag {
		return nil
	}
	stored.Stored = p.Stored
	pages[etagKey(address, token)] = stored
	return s.save(pages)
}

func (s *etagStore) save(pages map[string]page) error {
	text, err := json.Marshal(pages)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	name, err := etagFile()
	if err == nil {
		err = replaceLocal(name, text)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return nil
}

// replaceLocal writes a private file of this machine in one step.
func replaceLocal(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".github_etags-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}
