package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/releases"
)

// githubRelease is the github_release module. It ensures that a file of a release
// is on the host, or only tells which release there is. Releases of GitHub, Gitea,
// Forgejo and GitLab can be had.
//
// The runner asks for the releases, fetches the file and hands it to the host: the
// host needs no way to the internet and no program. A file that arrives cut off is
// fetched again, three times in all, and never installed. What is installed is
// written down in the file .jet-installed.json, in dest (with extract) or beside
// it, so that it is fetched again only when another release is wanted, or when the
// file is not as it was left. A file whose release was replaced under the same
// tag, such as nightly, is noticed by its checksum or its number. Of a repository
// with very many releases, the newest ten pages are looked at: 1000 releases, or 500
// of Gitea and Forgejo.
//
// The version of a release is what its tag holds: 1.2.3, v1.2.3, app-1.2.3 and
// app/v1.2.3 are all version 1.2.3. Versions are compared as semver says; tags that
// hold none, such as nightly, come before all that do. A release is a prerelease
// if the site says so, or if its version does (2.0.0-rc.1); GitLab says so of none.
//
// The result has the members tag, version (null when the tag holds none), asset
// and url (null without asset), published (the time, such as
// 2025-01-02T03:04:05Z), prerelease, and previous, which is the tag that was
// installed before, or null. When there is nothing to do, only save gets them.
type githubRelease struct {
	// Repo is the repository, as owner/name; of GitLab, groups may be nested.
	Repo string `yaml:"repo,required"`
	// Provider is the kind of site: github (when it is not given), gitea, forgejo
	// or gitlab.
	Provider string `yaml:"provider"`
	// BaseURL is the address of a site of one's own, such as
	// https://git.example.com; of GitHub Enterprise it is that of the API, such as
	// https://github.example.com/api/v3. When it is not given, it is that of
	// github.com, gitea.com, codeberg.org or gitlab.com.
	BaseURL string `yaml:"base_url"`
	// Channel says which releases count: latest or stable (the highest version
	// that is no prerelease, when it is not given), prerelease (the highest
	// version of all, where 2.0.0 is higher than 2.0.0-rc.1), unstable (the
	// highest prerelease, even if a stable release is higher) or any (the one that
	// was published last). Drafts, and releases announced for later, never count.
	Channel string `yaml:"channel"`
	// Version is a tag, a version, or a range of versions such as ">=1.2, <2",
	// "~1.4" (1.4.x), "^1.4" (1.4 or higher below 2) or "1.2 - 1.4". A tag and a
	// whole version mean that release, whatever the channel, also when a higher
	// one is installed; of a range, the channel's choice is taken. Beyond the
	// channel stable, prereleases are in a range too, and 2.0.0-rc.1 is lower than
	// 2: write "^1" rather than "<2" to stay with 1.
	Version string `yaml:"version"`
	// TagPrefix is what tags must begin with, where a repository has releases of
	// several things: app/ for tags such as app/v1.2.3.
	TagPrefix string `yaml:"tag_prefix"`
	// Asset is the name of the file to fetch, in which *, ? and [a-z] stand for
	// what may vary. It must match one file of the release. Without it, nothing is
	// fetched, and save or register is what the task is for.
	Asset string `yaml:"asset"`
	// Checksum is what the file must have: sha256: or sha512: and hexadecimal
	// digits. A checksum that the site itself tells is checked in any case.
	Checksum checksum `yaml:"checksum"`
	// ChecksumFile is the name of a file of the release that holds the checksum,
	// as sha256sum and sha512sum write it; what may vary is written as in asset.
	ChecksumFile string `yaml:"checksum_file"`
	// PublicKey is the key that the release must be signed with: one of minisign
	// (RW…) or of OpenSSH (ssh-ed25519 …; signatures are made with ssh-keygen -Y
	// sign -n file). What is signed is checksum_file where it is given, and the
	// file itself where it is not. The runner checks it and needs no program.
	PublicKey signingKey `yaml:"public_key"`
	// SignatureFile is the name of the file of the release that holds the
	// signature. When it is not given, it is the name of what is signed with
	// .minisig, or for a key of OpenSSH with .sig, behind it. It needs public_key.
	SignatureFile string `yaml:"signature_file"`
	// Extract unpacks the file, as the unpack module does, into the directory
	// dest. What an earlier release had there, and this one has not, stays.
	Extract bool `yaml:"extract"`
	// Strip is how many leading parts are cut off every path in the archive. It
	// needs extract.
	Strip uint16 `yaml:"strip"`
	// MaxSize is what the file may hold, and the archive expand to: a number of
	// bytes, or one with KiB, MiB or GiB behind it. It is 4GiB when it is not
	// given.
	MaxSize byteSize `yaml:"max_size"`
	// Dest is the absolute path of the file on the host, whose directory must
	// exist, or with extract of the directory. It needs asset.
	Dest hostPath `yaml:"dest"`
	// Attributes are owner, group and mode of the file, or of the files that are
	// unpacked.
	Attributes attributes `yaml:"attributes"`
	// GitHubToken is a token of the provider. It raises the number of requests
	// that may be made, and lets private repositories be seen. It is sent to the
	// site of base_url alone, and shown nowhere.
	GitHubToken string `yaml:"github_token"`
	// CacheETags keeps the provider's answers in the file
	// .local/share/jetpack/github_etags.json in the home of the runner's user, and
	// asks only whether they are still true. Answers are kept for 7 days.
	CacheETags bool `yaml:"cache_etags"`
	// Save is the variable that gets the members of the result. In check mode it
	// is not set when something is to be installed.
	Save varName `yaml:"save"`

	client *releases.Client
	repo   releases.Repository
	chosen releases.Release
	asset  releases.Asset
	// sums and signature are the files of checksum_file and signature_file.
	sums, signature releases.Asset
	// previous is the tag that was installed before.
	previous string
	store    store
	drift    drift
}

// Validate checks names and what belongs together, and fills in defaults.
func (m *githubRelease) Validate() error {
	base, ok := releases.PublicSite(m.Provider)
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
		m.Provider = releases.GitHub
	}
	channel, err := releases.ParseChannel(m.Channel)
	if err != nil {
		return err
	}
	m.Channel = string(channel)
	m.repo = releases.Repository{
		Provider: m.Provider, Base: base, Name: m.Repo, Token: m.GitHubToken, TokenKey: "github_token", ETags: m.CacheETags,
	}
	return m.validateFiles()
}

func (m *githubRelease) validateFiles() error {
	switch {
	case !releases.ValidName(m.Provider, m.Repo):
		return fmt.Errorf("repo must be owner/name, not %q", m.Repo)
	case strings.ContainsAny(m.GitHubToken, "\r\n\x00"):
		return errors.New("github_token holds more than one line")
	case m.Dest != "" && m.Asset == "":
		return errors.New("dest needs asset, the name of the file to fetch")
	case m.Dest == "" && (m.Extract || m.Attributes.given()):
		return errors.New("dest is missing")
	case m.Asset == "" && (len(m.Checksum) > 0 || m.ChecksumFile != "" || m.PublicKey.verifier != nil):
		return errors.New("asset is missing, the name of the file to check")
	case m.SignatureFile != "" && m.PublicKey.verifier == nil:
		return errors.New("signature_file needs public_key")
	case m.Dest == "/" && !m.Extract:
		return errors.New("dest must be the path of the file")
	case m.Strip > 0 && !m.Extract:
		return errors.New("strip needs extract: true")
	}
	for key, p := range map[string]string{
		"asset": m.Asset, "checksum_file": m.ChecksumFile, "signature_file": m.SignatureFile,
	} {
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
	where := "release " + m.repo.Base + " " + m.Repo + " " + m.TagPrefix + m.Asset
	if !m.Extract {
		where += " " + path.Base(string(m.Dest))
	}
	return where
}

// what identifies the file.
func (m *githubRelease) what() string {
	parts := []string{m.chosen.Tag, m.asset.Name}
	switch sum := toldSum(m.asset); {
	case len(sum) > 0:
		parts = append(parts, sum.String())
	case m.asset.ID != 0:
		parts = append(parts, fmt.Sprintf("number %d", m.asset.ID))
	}
	if m.PublicKey.verifier != nil {
		parts = append(parts, "key "+m.PublicKey.print)
	}
	if len(m.Checksum) > 0 {
		parts = append(parts, m.Checksum.String())
	}
	if m.Strip > 0 {
		parts = append(parts, fmt.Sprintf("strip %d", m.Strip))
	}
	return strings.Join(parts, " ")
}

// Offline tells that the host is not needed to tell which release there is.
func (m *githubRelease) Offline() bool { return m.Dest == "" }

// Preview reads ahead what Query reads on the host.
func (m *githubRelease) Preview(ctx context.Context, h *engine.Host) {
	if m.Dest == "" {
		return
	}
	if s, err := loadStore(ctx, h.Conn, m.dir()); err == nil {
		_, _, _ = m.Attributes.compare(ctx, h.Conn, s.dir, s.Installed[m.origin()].Files)
	}
}

// choose asks for the releases and picks one of them. When a list that was asked
// for earlier in the run does not have what is wanted, it is asked for anew.
func (m *githubRelease) choose(ctx context.Context, h *engine.Host) error {
	list, err := m.client.List(ctx, m.repo, h.Began)
	if err != nil {
		return err
	}
	missing := m.pick(list)
	if missing == nil {
		return nil
	}
	if list, err = m.client.ListAgain(ctx, m.repo); err != nil {
		return err
	}
	return m.pick(list)
}

// pick finds the release that is wanted, and its files.
func (m *githubRelease) pick(list []releases.Release) (err error) {
	wanted := releases.Choice{Channel: releases.Channel(m.Channel), Version: m.Version, Prefix: m.TagPrefix}
	if m.chosen, err = wanted.Of(list); err != nil {
		return fmt.Errorf("choosing a release of %s: %w", m.Repo, err)
	}
	if m.Asset == "" {
		return nil
	}
	if m.asset, err = m.chosen.Find(m.Asset); err != nil {
		return err
	}
	signed := m.asset.Name
	if m.ChecksumFile != "" {
		if m.sums, err = m.chosen.Find(m.ChecksumFile); err != nil {
			return err
		}
		signed = m.sums.Name
	}
	if m.PublicKey.verifier != nil {
		m.signature, err = m.chosen.Find(cmp.Or(m.SignatureFile, signed+m.PublicKey.suffix))
	}
	return err
}

func (m *githubRelease) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if err := m.choose(ctx, h); err != nil {
		return engine.Plan{}, err
	}
	if m.Dest == "" {
		return engine.Plan{Need: engine.Passive}, nil
	}
	var err error
	if m.store, err = loadStore(ctx, h.Conn, m.dir()); err != nil {
		return engine.Plan{}, err
	}
	p, err := m.store.query(ctx, h.Conn, m.origin(), m.what(), m.Attributes, &m.drift)
	if err != nil {
		return p, err
	}
	old, ok := m.store.Installed[m.origin()]
	m.previous, _, _ = strings.Cut(old.What, " ")
	switch {
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
			err = fmt.Errorf("installing %s of %s %s: %w", m.asset.Name, m.Repo, m.chosen.Tag, err)
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
		"tag": m.chosen.Tag, "version": nil, "asset": nil, "url": nil,
		"published":  m.chosen.Published.UTC().Format(time.RFC3339),
		"prerelease": m.chosen.Pre(), "previous": nil,
	}
	if m.previous != "" {
		out["previous"] = m.previous
	}
	if m.chosen.Version != nil {
		out["version"] = m.chosen.Version.String()
	}
	if m.Asset != "" {
		out["asset"], out["url"] = m.asset.Name, m.asset.URL
	}
	return out
}

// githubReleaseSpec describes the module. The hosts of a run share what was
// learned about releases, so that a provider is asked once for all of them.
func githubReleaseSpec() engine.Spec {
	shared := releases.NewClient()
	return engine.Spec{
		Name: "github_release",
		Doc:  "Ensures that a file of a release is installed, or tells which release there is.",
		New:  func() engine.Module { return &githubRelease{client: shared} },
	}
}
