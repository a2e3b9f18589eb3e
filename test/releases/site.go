package releases

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Site is a site with releases. It is safe for concurrent use.
type Site struct {
	// URL is its address: as it is for GitHub (as that of GitHub's API) and for the
	// others.
	URL string
	// Minisign and SSH are the public keys that its releases are signed with.
	Minisign, SSH string

	signer  signer
	made    sync.Map // of assets
	site    *httptest.Server
	objects *httptest.Server

	mu    sync.Mutex
	repos map[string]*repo
	asked []Request
	// left is how many more requests without a token are taken; below zero: any.
	left int
	// until is when more are taken.
	until time.Time
	// page is how many releases are on a page at most.
	page int
	// cut is how many more files end in the middle, short how many do as if they
	// were whole, hold how many never end.
	cut, short, hold int
}

type repo struct {
	releases []Release
	token    string // needed, unless empty
}

// Request is a request that was answered.
type Request struct {
	Path string
	// Authorization is the header of that name.
	Authorization string
	Status        int
}

// Start starts a site without repositories.
func Start() *Site {
	s := &Site{signer: newSigner(), repos: make(map[string]*repo), left: -1, page: 100}
	s.Minisign, s.SSH = s.signer.minisignKey(), s.signer.sshKey()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/{owner}/{repo}/releases", s.githubList)
	mux.HandleFunc("GET /repos/{owner}/{repo}/releases/assets/{id}", s.githubAsset)
	mux.HandleFunc("GET /{owner}/{repo}/releases/download/{tag}/{name}", s.webAsset)
	mux.HandleFunc("GET /api/v1/repos/{owner}/{repo}/releases", s.giteaList)
	mux.HandleFunc("GET /api/v4/projects/{id}/releases", s.gitlabList)
	mux.HandleFunc("GET /api/v4/projects/{id}/releases/{tag}/downloads/{name}", s.gitlabAsset)
	mux.HandleFunc("GET /{owner}/{repo}/-/releases/{tag}/downloads/{name}", s.gitlabWebAsset)
	s.site = httptest.NewServer(s.noted("", mux))
	s.objects = httptest.NewServer(s.noted("objects:", http.HandlerFunc(s.object)))
	s.URL = s.site.URL
	return s
}

// Close stops the site.
func (s *Site) Close() {
	s.site.Close()
	s.objects.Close()
}

// Put gives a repository, such as acme/tool, these releases and no others.
func (s *Site) Put(name string, list ...Release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).releases = slices.Clone(list)
}

// Private lets a repository be seen with a token alone.
func (s *Site) Private(name, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).token = token
}

func (s *Site) repo(name string) *repo {
	if s.repos[name] == nil {
		s.repos[name] = new(repo)
	}
	return s.repos[name]
}

// Limit lets that many more requests without a token be answered until a time.
func (s *Site) Limit(n int, until time.Time) { s.set(func() { s.left, s.until = n, until }) }

// Page lets a page hold that many releases at most.
func (s *Site) Page(n int) { s.set(func() { s.page = n }) }

// Cut lets that many of the coming files end in the middle.
func (s *Site) Cut(n int) { s.set(func() { s.cut = n }) }

// Short lets that many of the coming files end in the middle, as if that were all.
func (s *Site) Short(n int) { s.set(func() { s.short = n }) }

// Hold lets that many of the coming files stop in the middle, and not end.
func (s *Site) Hold(n int) { s.set(func() { s.hold = n }) }

func (s *Site) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Took returns the requests since the last call. Those to the store of files have
// "objects:" before their paths.
func (s *Site) Took() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// answer notes the status of a response.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (s *Site) noted(who string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = append(s.asked, Request{who + r.URL.EscapedPath(), r.Header.Get("Authorization"), a.status})
		}()
		next.ServeHTTP(a, r)
	})
}

// look finds a repository's releases. ok is false when they may not be seen.
func (s *Site) look(name, token string) (list []Release, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil || r.token != "" && token != r.token {
		return nil, false
	}
	return slices.Clone(r.releases), true
}

// spend counts a request without a token. ok is false when the limit is reached.
func (s *Site) spend(token string) (left int, until time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left < 0 || token != "" {
		return 5000, time.Now().Add(time.Hour), true
	}
	if s.left == 0 {
		return 0, s.until, false
	}
	s.left--
	return s.left, s.until, true
}

// turn returns the page of a list that a request asks for, and sets the header
// Link as all three do.
func (s *Site) turn(w http.ResponseWriter, r *http.Request, size string, list []Release) []Release {
	s.mu.Lock()
	limit := s.page
	s.mu.Unlock()
	q := r.URL.Query()
	n, _ := strconv.Atoi(q.Get(size))
	n = min(cmp.Or(n, 30), limit)
	page, _ := strconv.Atoi(q.Get("page"))
	page = max(page, 1)
	last := max(1, (len(list)+n-1)/n)
	var links []string
	for _, l := range []struct {
		rel string
		to  int
	}{{"prev", page - 1}, {"next", page + 1}, {"last", last}, {"first", 1}} {
		if l.to < 1 || l.to > last || l.rel == "last" && page == last || l.rel == "first" && page == 1 {
			continue
		}
		q.Set("page", strconv.Itoa(l.to))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, s.URL, r.URL.EscapedPath(), q.Encode(), l.rel))
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	return list[min(len(list), (page-1)*n):min(len(list), page*n)]
}

// find returns a file of a repository.
func (s *Site) find(list []Release, tag, name string) (Asset, bool) {
	for _, r := range list {
		if r.Tag != tag {
			continue
		}
		for _, a := range s.assets(r) {
			if a.Name == name {
				return a, true
			}
		}
	}
	return Asset{}, false
}

// stored is the address of a file in the store, for those who know the signature.
func (s *Site) stored(repo, tag, name string) string {
	key := repo + "/" + tag + "/" + name
	host := strings.Replace(s.objects.URL, "127.0.0.1", "localhost", 1)
	return host + "/" + url.PathEscape(key) + "?signature=" + digest([]byte("store"+key))
}

// object serves a file of the store, which takes one kind of proof alone.
func (s *Site) object(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/")
	parts := strings.Split(key, "/")
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "only one auth mechanism allowed", http.StatusBadRequest)
		return
	case r.URL.Query().Get("signature") != digest([]byte("store"+key)) || len(parts) < 4:
		http.Error(w, "signature does not match", http.StatusForbidden)
		return
	}
	n := len(parts)
	var list []Release
	s.set(func() {
		if repo := s.repos[parts[0]+"/"+parts[1]]; repo != nil {
			list = slices.Clone(repo.releases)
		}
	})
	a, ok := s.find(list, strings.Join(parts[2:n-1], "/"), parts[n-1])
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.send(w, r, a.Content)
}

// send sends a file, whole or not.
func (s *Site) send(w http.ResponseWriter, r *http.Request, content []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	var cut, short, hold bool
	s.set(func() {
		switch {
		case s.cut > 0:
			s.cut--
			cut = true
		case s.short > 0:
			s.short--
			short = true
		case s.hold > 0:
			s.hold--
			hold = true
		}
	})
	if !short {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	}
	if !cut && !short && !hold {
		_, _ = w.Write(content)
		return
	}
	_, _ = w.Write(content[:len(content)/2])
	_ = http.NewResponseController(w).Flush()
	if hold {
		<-r.Context().Done()
	}
	// Where more was promised, the server closes the connection now.
}

// say writes JSON.
func say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	text, err := json.Marshal(v)
	must(err)
	_, _ = w.Write(text)
}

// redirect sends a client elsewhere.
func redirect(w http.ResponseWriter, to string, status int) {
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}
