package modules

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
)

// maxSumFile is how large a file of checksums may be, in bytes.
const maxSumFile = 1 << 20

// githubRelease is the github_release module. The runner asks for the releases,
// fetches the file and hands it to the host. What is installed is written down in
// the file .jet-installed.json, in dest or beside it, so that it is not fetched
// again while it is there.
type githubRelease struct {
	// Repo is the repository, as owner/name.
	Repo string `yaml:"repo,required"`
	// Provider is the kind of site: github (when it is not given), gitea, forgejo
	// or gitlab.
	Provider string `yaml:"provider"`
	// BaseURL is the address of a site of one's own, such as
	// https://git.example.com; of GitHub Enterprise it is that of the API, such as
	// https://github.example.com/api/v3.
	BaseURL string `yaml:"base_url"`
	// Channel says which releases count: latest or stable (the highest version
	// that is no prerelease, when it is not given), prerelease (the highest
	// version of all), unstable (the highest prerelease) or any (the newest by
	// date). Drafts never count.
	Channel string `yaml:"channel"`
	// Version is a tag, a version, or a range of versions such as ">=1.2, <2" or
	// "~1.4".
	Version string `yaml:"version"`
	// Asset is the name of the file to fetch, in which * and ? stand for what may
	// vary. It must match one file of the release. Without it, nothing is fetched,
	// and save is what the task is for.
	Asset string `yaml:"asset"`
	// Checksum is what the file must have: sha256: or sha512: and hexadecimal
	// digits. A checksum that the site itself tells is checked in any case.
	Checksum checksum `yaml:"checksum"`
	// ChecksumFile is the name of a file of the release that holds the checksum,
	// as sha256sum and sha512sum write it; * and ? stand for what may vary.
	ChecksumFile string `yaml:"checksum_file"`
	// Extract unpacks the file, as the unpack module does, into the directory
	// dest.
	Extract bool `yaml:"extract"`
	// Strip is how many leading parts are cut off every path in the archive.
	Strip uint16 `yaml:"strip"`
	// MaxSize is what the file may hold, and the archive expand to: a number of
	// bytes, or one with KiB, MiB or GiB behind it. It is 4GiB when it is not
	// given.
	MaxSize byteSize `yaml:"max_size"`
	// Dest is the absolute path of the file on the host, whose directory must
	// exist, or with extract of the directory.
	Dest hostPath `yaml:"dest"`
	// Attributes are owner, group and mode of the file, or of the files that are
	// unpacked.
	Attributes attributes `yaml:"attributes"`
	// GitHubToken is a token of the provider. It raises the number of requests
	// that may be made, and lets private repositories be seen.
	GitHubToken string `yaml:"github_token"`
	// CacheETags keeps the provider's answers in the file
	// .local/share/jetpack/github_etags.json in the home of the runner's user, and
	// asks only whether they are still true. Answers are kept for 7 days.
	CacheETags bool `yaml:"cache_etags"`
	// Save is the variable that gets a mapping of tag, version, asset, url,
	// published and prerelease. In check mode it is not set when something is to
	// be installed.
	Save varName `yaml:"save"`

	releases *releases
	repo     repository
	chosen   release
	asset    asset
	store    store
	drift    drift
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`)

// Validate checks names and what belongs together, and fills in defaults.
func (m *githubRelease) Validate() error {
	bases := map[string]string{
		"": "https://api.github.com", providerGitHub: "https://api.github.com", providerGitea: "https://gitea.com",
		providerForgejo: "https://codeberg.org", providerGitLab: "https://gitlab.com",
	}
	base, ok := bases[m.Provider]
	if !ok {
		return fmt.Errorf("provider must be github, gitea, forgejo or gitlab, not %q", m.Provider)
	}
	if m.BaseURL != "" {
		u, err := parseURL(m.BaseURL)
		if err != nil || u.User != nil || u.RawQuery != "" {
			return errors.New("base_url must begin with http:// or https://, name a host and hold no password")
		}
		base = strings.TrimRight(m.BaseURL, "/")
	}
	if m.Provider == "" {
		m.Provider = providerGitHub
	}
	switch m.Channel {
	case "", channelLatest:
		m.Channel = channelStable
	case channelStable, channelPrerelease, channelUnstable, channelAny:
	default:
		return fmt.Errorf("channel must be latest, stable, prerelease, unstable or any, not %q", m.Channel)
	}
	m.repo = repository{provider: m.Provider, base: base, name: m.Repo, token: m.GitHubToken, etags: m.CacheETags}
	return m.validateFiles()
}

func (m *githubRelease) validateFiles() error {
	parts := strings.Count(m.Repo, "/")
	switch {
	case !repoName.MatchString(m.Repo) || parts > 1 && m.Provider != providerGitLab:
		return fmt.Errorf("repo must be owner/name, not %q", m.Repo)
	case strings.ContainsAny(m.GitHubToken, "\r\n\x00"):
		return errors.New("github_token holds more than one line")
	case m.Dest != "" && m.Asset == "":
		return errors.New("dest needs asset, the name of the file to fetch")
	case m.Dest == "" && (m.Extract || m.Attributes.given()):
		return errors.New("dest is missing")
	case m.Dest == "" && m.Save == "":
		return errors.New("one of dest and save is needed")
	case m.Dest == "/" && !m.Extract:
		return errors.New("dest must be the path of the file")
	case m.Strip > 0 && !m.Extract:
		return errors.New("strip needs extract: true")
	}
	for key, p := range map[string]string{"asset": m.Asset, "checksum_file": m.ChecksumFile} {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("%s: %q is no pattern of names", key, p)
		}
	}
	return nil
}

// dir is the directory whose store speaks of what is installed.
func (m *githubRelease) dir() string {
	if m.Extract {
		return string(m.Dest)
	}
	return path.Dir(string(m.Dest))
}

// origin is what the file is known by in the store. A file of its own is known
// by its name too: two of them may come from one repository.
func (m *githubRelease) origin() string {
	where := "release " + m.repo.base + " " + m.Repo + " " + m.Asset
	if !m.Extract {
		where += " " + path.Base(string(m.Dest))
	}
	return where
}

// what identifies the file.
func (m *githubRelease) what() string {
	parts := []string{m.chosen.tag, m.asset.name}
	if len(m.asset.sum) > 0 {
		parts = append(parts, m.asset.sum.String())
	}
	if len(m.Checksum) > 0 {
		parts = append(parts, m.Checksum.String())
	}
	if m.Strip > 0 {
		parts = append(parts, fmt.Sprintf("strip %d", m.Strip))
	}
	return strings.Join(parts, " ")
}

func (m *githubRelease) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	list, err := m.releases.list(ctx, m.repo)
	if err != nil {
		return engine.Plan{}, err
	}
	if m.chosen, err = choose(list, m.Channel, m.Version); err != nil {
		return engine.Plan{}, fmt.Errorf("choosing a release of %s: %w", m.Repo, err)
	}
	if m.Asset != "" {
		if m.asset, err = m.chosen.find(m.Asset); err != nil {
			return engine.Plan{}, err
		}
	}
	if m.Dest == "" {
		return engine.Plan{Need: engine.Passive}, nil
	}
	if m.store, err = loadStore(ctx, h.Conn, m.dir()); err != nil {
		return engine.Plan{}, err
	}
	p, err := m.store.query(ctx, h.Conn, m.origin(), m.what(), m.Attributes, &m.drift)
	if err != nil {
		return p, err
	}
	switch old, ok := m.store.Installed[m.origin()]; {
	case p.Need == engine.Matched && m.Save != "":
		p.Need = engine.Passive // so that Apply can save
	case p.Need == engine.Create && !m.Extract:
		return m.overFile(ctx, h)
	case ok && old.What != m.what():
		p.Fields = []string{fieldVersion}
	}
	return p, nil
}

// overFile is the plan where nobody noted where the file at dest came from.
func (m *githubRelease) overFile(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	info, err := h.Conn.Stat(ctx, string(m.Dest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{Need: engine.Create}, nil
	case err != nil:
		return engine.Plan{}, err
	case !info.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file and is not replaced; write the path of the file itself in dest", m.Dest)
	}
	return engine.Plan{Need: engine.Modify, Fields: []string{fieldVersion}}, nil
}

func (m *githubRelease) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	res := engine.Result{Data: m.describe()}
	var err error
	switch {
	case p.Need == engine.Passive:
	case p.Need == engine.Modify && !slices.Contains(p.Fields, fieldContent) && !slices.Contains(p.Fields, fieldVersion):
		err = m.Attributes.mend(ctx, h.Conn, m.drift)
	default:
		if err = m.install(ctx, h); err != nil {
			err = fmt.Errorf("installing %s of %s %s: %w", m.asset.name, m.Repo, m.chosen.tag, err)
		}
	}
	if m.Save != "" && err == nil {
		h.Set(string(m.Save), res.Data)
	}
	return res, err
}

// describe is what save holds.
func (m *githubRelease) describe() map[string]any {
	out := map[string]any{
		"tag": m.chosen.tag, "version": nil, "asset": nil, "url": nil,
		"published":  m.chosen.published.UTC().Format(time.RFC3339),
		"prerelease": m.chosen.pre(),
	}
	if m.chosen.version != nil {
		out["version"] = m.chosen.version.String()
	}
	if m.Asset != "" {
		out["asset"], out["url"] = m.asset.name, m.asset.url
	}
	return out
}

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
		a, err := newArchive(f, m.asset.name, m.MaxSize.limit(), int(m.Strip))
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
func (m *githubRelease) fetch(ctx context.Context, a asset, limit int64) (*os.File, checksum, error) {
	client := newClient()
	defer client.CloseIdleConnections()
	at := a.url
	header := map[string]string{"Accept": "application/octet-stream"}
	if m.repo.token != "" && m.repo.provider == providerGitHub && a.api != "" {
		at = a.api // the other one takes no token
	}
	if u, err := url.Parse(at); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, fmt.Errorf("%s cannot be fetched: its address is %q", a.name, at)
	}
	resp, err := m.releases.get(ctx, client, m.repo, at, header)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, statusError(resp.StatusCode)
	}
	return spool(ctx, resp.Body, limit)
}

// verify checks all checksums there are of the file.
func (m *githubRelease) verify(ctx context.Context, f *os.File, sum256 checksum) error {
	wants := []checksum{m.asset.sum, m.Checksum}
	if m.ChecksumFile != "" {
		of, err := m.chosen.find(m.ChecksumFile)
		if err != nil {
			return err
		}
		text, err := m.text(ctx, of)
		if err != nil {
			return fmt.Errorf("fetching %s: %w", of.name, err)
		}
		listed, err := listedSum(text, m.asset.name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", of.name, err)
		}
		wants = append(wants, listed)
	}
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
func (m *githubRelease) text(ctx context.Context, a asset) (string, error) {
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

// githubReleaseSpec describes the module. The hosts of a run share what was
// learned about releases, so that a provider is asked once for all of them.
func githubReleaseSpec() engine.Spec {
	shared := newReleases()
	return engine.Spec{
		Name: "github_release",
		Doc:  "Ensures that a file of a release is installed, or tells which release there is.",
		New:  func() engine.Module { return &githubRelease{releases: shared} },
	}
}
