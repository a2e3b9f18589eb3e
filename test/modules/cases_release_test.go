package modules

import (
	"strings"

	"github.com/jet-bus/jet-bus/test/releases"
)

// published is a site with releases, for the cases of github_release and its example.
var published = publish(func(*releases.Site) {})

// publish starts a site for as long as the tests run.
func publish(change func(*releases.Site)) *releases.Site {
	s := releases.Start()
	s.Page(15)
	s.Put("acme/tool", releases.Fixture()...)
	s.Put("acme/shared", releases.Shared()...)
	s.Put("acme/secret", releases.Fixture()...)
	s.Private("acme/secret", "the-very-token")
	change(s)
	return s
}

// releaseTask is a task that asks a site for releases of acme/tool, or of the
// repository that the parameters name.
func releaseTask(s *releases.Site, parameters ...string) string {
	text := "!github_release\nbase_url: " + s.URL + "\n"
	if !strings.HasPrefix(parameters[0], "repo:") {
		text += "repo: acme/tool\n"
	}
	return text + strings.Join(parameters, "\n") + "\n"
}

// ran is a probe that says what a program says, and its mode and owner.
func ran(name string) string {
	return "stat -c '%a %U %G' " + name + " 2>&1; sh " + name + " 2>&1 || true"
}

var _ = add(
	Case{
		Module: "github_release", Name: "installs a program",
		Before: "mkdir -p /srv/release-installs",
		Task:   releaseTask(published, "asset: tool-linux-amd64", "dest: /srv/release-installs/tool", "attributes: {mode: 0o755, owner: ops, group: daemon}"),
		Probe:  ran("/srv/release-installs/tool"),
		Want:   "755 ops daemon\ntool v2.1.2 linux-amd64",
		Need:   "created",
	},
	Case{
		Module: "github_release", Name: "replaces a file of unknown origin",
		Before: "mkdir -p /srv/release-over; echo old >/srv/release-over/tool",
		Task:   releaseTask(published, "provider: gitea", "asset: tool-*x-arm64", "version: ~1.2", "dest: /srv/release-over/tool"),
		Probe:  ran("/srv/release-over/tool"),
		Want:   "644 root root\ntool v1.2.1 linux-arm64",
		Need:   "modified", Fields: []string{"Version"},
	},
	Case{
		Module: "github_release", Name: "unpacks an archive",
		Task:  releaseTask(published, "asset: tool-linux-amd64.tar.gz", "extract: true", "strip: 1", "dest: /srv/release-unpacks"),
		Probe: "cd /srv/release-unpacks 2>&1 && find . -type f ! -name '.jet*' | sort && cat README && bin/tool || true",
		Want:  "./README\n./bin/tool\nversion v2.1.2\ntool v2.1.2 linux-amd64",
		Need:  "created",
	},
	Case{
		Module: "github_release", Name: "stays on prereleases, of GitLab",
		Before: "mkdir -p /srv/release-unstable",
		Task:   releaseTask(published, "provider: gitlab", "channel: unstable", "asset: tool-linux-amd64", "dest: /srv/release-unstable/tool"),
		Probe:  ran("/srv/release-unstable/tool"),
		Want:   "644 root root\ntool v3.0.0-alpha.2 linux-amd64",
		Need:   "created",
	},
	Case{
		Module: "github_release", Name: "takes tags with a prefix, and odd names",
		Before: "mkdir -p '/srv/release it'\"'\"'s \"odd\"'",
		Task:   releaseTask(published, "repo: acme/shared", "provider: forgejo", "tag_prefix: app/", "asset: tool-linux-amd64", `dest: "/srv/release it's \"odd\"/$(touch x)\n;tool"`),
		Probe:  "cd /srv/release* && cd '/srv/release it'\"'\"'s \"odd\"' && ls -Q && cat ./*tool 2>&1 | tail -n1",
		Want:   "\"$(touch x)\\n;tool\"\necho 'tool app/v1.10.0 linux-amd64'",
		Need:   "created",
	},
	Case{
		Module: "github_release", Name: "checks what is signed, with minisign",
		Before: "mkdir -p /srv/release-minisign",
		Task: releaseTask(published, "asset: tool-linux-amd64", "checksum_file: SHA256SUMS", "public_key: "+published.Minisign,
			"dest: /srv/release-minisign/tool"),
		Probe: ran("/srv/release-minisign/tool"),
		Want:  "644 root root\ntool v2.1.2 linux-amd64",
		Need:  "created",
	},
	Case{
		Module: "github_release", Name: "checks what is signed, with ssh-keygen",
		Before: "mkdir -p /srv/release-ssh",
		Task: releaseTask(published, "provider: gitlab", "version: v1.9.0", "asset: tool-linux-amd64", "checksum_file: SHA*SUMS", "public_key: "+published.SSH,
			"dest: /srv/release-ssh/tool"),
		Probe: ran("/srv/release-ssh/tool"),
		Want:  "644 root root\ntool v1.9.0 linux-amd64",
		Need:  "created",
	},
	Case{
		Module: "github_release", Name: "fetches again what is cut off",
		Before: "mkdir -p /srv/release-cut",
		Task: releaseTask(publish(func(s *releases.Site) { s.Cut(2) }), "asset: tool-linux-amd64",
			"dest: /srv/release-cut/tool"),
		Probe: ran("/srv/release-cut/tool"),
		Want:  "644 root root\ntool v2.1.2 linux-amd64",
		Need:  "created",
	},
	Case{
		Module: "github_release", Name: "fetches with a token, as the login user",
		Task:  releaseTask(published, "repo: acme/secret", "github_token: the-very-token", "asset: tool-linux-amd64", "dest: /home/ops/release-token"),
		Login: true,
		Probe: ran("/home/ops/release-token"),
		Want:  "644 ops ops\ntool v2.1.2 linux-amd64",
		Need:  "created",
	},
)

// Nothing of these is installed.
var _ = add(
	Case{
		Module: "github_release", Name: "installs nothing that is cut off for ever",
		Before: "mkdir -p /srv/release-never; echo old >/srv/release-never/tool",
		Task: releaseTask(publish(func(s *releases.Site) { s.Cut(1000) }), "asset: tool-linux-amd64",
			"dest: /srv/release-never/tool"),
		Probe: "cat /srv/release-never/tool; ls -A /srv/release-never",
		Fails: "the answer was cut off after 20 bytes",
	},
	Case{
		Module: "github_release", Name: "refuses another checksum",
		Before: "mkdir -p /srv/release-sum",
		Task: releaseTask(published, "asset: tool-linux-amd64", "checksum: sha256:"+strings.Repeat("0", 64),
			"dest: /srv/release-sum/tool"),
		Probe: "ls -A /srv/release-sum",
		Fails: "the checksum is another one",
	},
	Case{
		Module: "github_release", Name: "refuses another key",
		Before: "mkdir -p /srv/release-key",
		Task: releaseTask(published, "asset: tool-linux-amd64", "signature_file: SHA256SUMS.minisig", "public_key: "+published.Minisign,
			"dest: /srv/release-key/tool"),
		Probe: "ls -A /srv/release-key",
		Fails: "verifying SHA256SUMS.minisig: the signature is not that of public_key",
	},
	Case{
		Module: "github_release", Name: "refuses a range without a release",
		Task:  releaseTask(published, "asset: tool-linux-amd64", "version: '>=5'", "dest: /srv/release-range"),
		Probe: "ls -d /srv/release-range 2>&1 || true",
		Fails: "there is no release >=5 in the channel stable",
	},
	Case{
		Module: "github_release", Name: "refuses a pattern of several files",
		Before: "mkdir -p /srv/release-several",
		Task:   releaseTask(published, "asset: '*-arm64'", "dest: /srv/release-several/tool"),
		Probe:  "ls -A /srv/release-several",
		Fails:  `has more than one file "*-arm64": tool-linux-arm64, tool-darwin-arm64`,
	},
	Case{
		Module: "github_release", Name: "refuses a directory",
		Before: "mkdir -p /srv/release-directory",
		Task:   releaseTask(published, "asset: tool-linux-amd64", "dest: /srv/release-directory"),
		Probe:  "ls -dA /srv/release-directory",
		Fails:  "/srv/release-directory is not a regular file and is not replaced",
	},
	Case{
		Module: "github_release", Name: "refuses a directory that is missing",
		Task:  releaseTask(published, "asset: tool-linux-amd64", "dest: /srv/release-missing/tool"),
		Probe: "ls -d /srv/release-missing 2>&1 || true",
		Fails: "/srv/release-missing does not exist",
	},
	Case{
		Module: "github_release", Name: "refuses a private repository without a token",
		Task:  releaseTask(published, "repo: acme/secret", "asset: tool-linux-amd64", "dest: /srv/release-secret"),
		Probe: "ls -d /srv/release-secret 2>&1 || true",
		Fails: "it does not exist, or a github_token is needed that may see it",
	},
	Case{
		Module: "github_release", Name: "refuses an option for a version",
		Task:  releaseTask(published, "asset: tool-linux-amd64", "version: '--help'", "dest: /srv/release-option"),
		Probe: "ls -d /srv/release-option 2>&1 || true",
		Fails: `there is no release with the tag "--help"`,
	},
)
