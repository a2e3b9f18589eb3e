package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// Names of what differs in a working copy.
const (
	fieldRepo       = "Repo"
	fieldBranch     = "Branch"
	fieldSubmodules = "Submodules"
)

// remoteHead is the branch name that stands for the remote's default branch.
const remoteHead = "HEAD"

// gitModule is the git module. It ensures that a working copy of a repository is at a
// version. The host needs git.
//
// The result has, after a change, before and after, the hashes of the commits that the
// working copy was at and is at now; before is empty for a new one.
type gitModule struct {
	// Repo is the address of the repository, in any form that git on the host
	// takes. Passwords do not belong into it: other users of the host can read
	// them.
	Repo string `yaml:"repo,required"`
	// Path is the absolute path of the working copy. It must not exist, be empty,
	// or be a working copy already.
	Path hostPath `yaml:"path,required"`
	// Branch is the branch to be on, at the commit the remote has it at. It is
	// main when neither it, tag nor commit is given; HEAD stands for the remote's
	// default branch.
	Branch string `yaml:"branch"`
	// Tag is the tag to be at, instead of a branch.
	Tag string `yaml:"tag"`
	// Commit is the full hash of the commit to be at, instead of a branch.
	Commit string `yaml:"commit"`
	// Depth fetches no more than that many commits of history; without it, all of
	// it is fetched.
	Depth uint16 `yaml:"depth"`
	// Update brings a working copy to what the remote has, which is done unless
	// this is false. A new one is made either way.
	Update *bool `yaml:"update"`
	// Force throws away changes of files and commits that the remote does not
	// have, and files in the way. Otherwise they make the task fail when something
	// is to be changed. Files that git does not know are left alone.
	Force bool `yaml:"force"`
	// Submodules brings the repository's submodules, and theirs, to the commits that
	// the version names, from the addresses that it names. Without it, they are left
	// alone.
	Submodules bool `yaml:"submodules"`
	// AcceptKeys accepts the key of an SSH server that is not known yet, and
	// keeps it, unless this is false. A key that has changed is never accepted.
	AcceptKeys *bool `yaml:"accept_keys"`
	// SSHOptions are options of ssh by name, such as IdentityFile, in the syntax
	// of its configuration file.
	SSHOptions map[string]string `yaml:"ssh_options"`
	// Attributes are the owner and group of the working copy with all that is in
	// it, and the mode of its top directory. When they make it another user's
	// than the task's, git still runs as the task's user.
	Attributes attributes `yaml:"attributes"`

	repo   gitRepo
	target gitTarget
	state  gitState
}

// hash matches the hash of a commit, SHA-1 or SHA-256.
var hashPattern = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// refPattern matches names of branches and tags; badRef what they do not hold.
var (
	refPattern = lazyregexp.New(`^[^-/.\x00-\x20\x7f~^:?*\[\\][^\x00-\x20\x7f~^:?*\[\\]*$`)
	badRef     = lazyregexp.New(`\.\.|//|@\{|/\.|\.lock(/|$)|[./]$|^@$`)
)

// Validate checks names, and that one version is asked for.
func (m *gitModule) Validate() error {
	given := 0
	for key, name := range map[string]string{"branch": m.Branch, "tag": m.Tag} {
		if name == "" {
			continue
		}
		if given++; !refPattern().MatchString(name) || badRef().MatchString(name) {
			return fmt.Errorf("%s: %q cannot be the name of one", key, name)
		}
	}
	if m.Commit != "" {
		if given++; !hashPattern().MatchString(m.Commit) {
			return fmt.Errorf("commit must be a full hash of 40 or 64 hexadecimal digits, not %q", m.Commit)
		}
	}
	switch {
	case given > 1:
		return errors.New("branch, tag and commit exclude each other: give one of them")
	case m.Repo == "" || strings.HasPrefix(m.Repo, "-") || strings.ContainsAny(m.Repo, "\x00\n"):
		return fmt.Errorf("repo: %q is no address of a repository", m.Repo)
	case m.Path == "/":
		return errors.New("path must not be /")
	}
	return checkSSHOptions(m.SSHOptions)
}

func (m *gitModule) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.repo = gitRepo{
		conn: h.Conn, path: string(m.Path), url: m.Repo,
		env: sshEnv(m.AcceptKeys == nil || *m.AcceptKeys, m.SSHOptions),
	}
	fresh, err := m.repo.absent(ctx)
	if err != nil {
		return engine.Plan{}, err
	}
	if fresh {
		m.target, err = m.repo.resolve(ctx, m.version())
		if errors.Is(err, errNoGit) && h.Check {
			err = nil // an earlier task would install it
		}
		return engine.Plan{Need: engine.Create}, err
	}
	if err := m.repo.checkOwner(ctx, m.Attributes.Owner); err != nil {
		return engine.Plan{}, err
	}
	var owners []string
	err = inParallel(ctx, 3, func(ctx context.Context, i int) error {
		var err error
		switch {
		case i == 0:
			m.state, err = m.repo.look(ctx)
		case i == 1 && m.updates():
			m.target, err = m.repo.resolve(ctx, m.version())
		case i == 2:
			owners, err = m.Attributes.treeDiff(ctx, h.Conn, m.repo.path)
		}
		return err
	})
	if err == nil && m.state.head == "" && !m.updates() {
		m.target, err = m.repo.resolve(ctx, m.version()) // a clone that was stopped
	}
	if err != nil {
		return engine.Plan{}, err
	}
	fields, err := m.differences(ctx)
	if err == nil && m.Submodules && !slices.ContainsFunc(fields, moves) {
		var stale bool
		if stale, err = m.repo.staleSubmodules(ctx); stale {
			fields = append(fields, fieldSubmodules)
		}
	}
	if fields = append(fields, owners...); err != nil || len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, err
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

func (m *gitModule) updates() bool { return m.Update == nil || *m.Update }

// version returns what is asked for, with the default branch filled in.
func (m *gitModule) version() gitTarget {
	if m.Tag != "" || m.Commit != "" {
		return gitTarget{tag: m.Tag, commit: m.Commit}
	}
	return gitTarget{branch: cmp.Or(m.Branch, "main")}
}

// differences names what is to be changed in the working copy, or says what
// would be lost by that.
func (m *gitModule) differences(ctx context.Context) ([]string, error) {
	var fields []string
	if m.state.url != m.repo.url {
		fields = append(fields, fieldRepo)
	}
	if m.target.commit != "" {
		if m.target.branch != "" && m.state.branch != m.target.branch {
			fields = append(fields, fieldBranch)
		}
		if m.state.head != m.target.commit {
			fields = append(fields, fieldVersion)
		}
		if m.Force && m.state.dirty {
			fields = append(fields, fieldContent)
		}
	}
	if !slices.ContainsFunc(fields, moves) || m.Force || m.state.head == "" {
		return fields, nil
	}
	if m.state.dirty {
		return nil, fmt.Errorf("updating %s: files in it were changed; give force: true to throw the changes away", m.Path)
	}
	n, err := m.repo.unpublished(ctx, m.target.branch)
	if err == nil && n > 0 {
		err = fmt.Errorf("updating %s: it holds %d commits that the remote does not have; "+
			"give force: true to throw them away", m.Path, n)
	}
	return fields, err
}

// moves tells whether what differs is brought in order by a checkout.
func moves(field string) bool {
	return field == fieldBranch || field == fieldVersion || field == fieldContent
}

func (m *gitModule) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	res := engine.Result{Data: map[string]any{"before": m.state.head}}
	fresh := p.Need == engine.Create
	if fresh {
		if err := m.repo.init(ctx); err != nil {
			return res, err
		}
	}
	if fresh || slices.Contains(p.Fields, fieldRepo) {
		if _, err := m.repo.git(ctx, "config", "--replace-all", "remote.origin.url", m.repo.url); err != nil {
			return res, err
		}
	}
	after := m.state.head
	checkout := fresh || slices.ContainsFunc(p.Fields, moves)
	if checkout {
		var err error
		if after, err = m.repo.move(ctx, m.target, m.Depth, m.Force || m.state.head == ""); err != nil {
			return res, err
		}
	}
	res.Data["after"] = after
	if m.Submodules && (checkout || slices.Contains(p.Fields, fieldSubmodules)) {
		if err := m.repo.updateSubmodules(ctx, m.Depth, m.Force); err != nil {
			return res, err
		}
	}
	return res, m.Attributes.applyTree(ctx, h.Conn, m.repo.path)
}

// treeDiff names what differs of a working copy: its mode, and whether all that
// is in it has the owner and the group.
func (a attributes) treeDiff(ctx context.Context, c conn.Conn, dir string) ([]string, error) {
	if !a.given() {
		return nil, nil
	}
	info, err := c.Stat(ctx, dir)
	if err != nil {
		return nil, err
	}
	fields := a.diff(info)
	for _, t := range [][3]string{{"-user", a.Owner, fieldOwner}, {"-group", a.Group, fieldGroup}} {
		if t[1] == "" || slices.Contains(fields, t[2]) {
			continue
		}
		out, err := c.Run(ctx, conn.Cmd{Argv: []string{"find", dir, "!", t[0], t[1], "-print", "-quit"}, ReadOnly: true})
		if err != nil {
			return nil, err
		}
		if len(out.Stdout) > 0 || out.Code != 0 {
			fields = append(fields, t[2])
		}
	}
	return fields, nil
}

// applyTree gives a working copy its attributes.
func (a attributes) applyTree(ctx context.Context, c conn.Conn, dir string) error {
	if !a.given() {
		return nil
	}
	owner := a.Owner
	if a.Group != "" {
		owner += ":" + a.Group
	}
	if owner != "" {
		out, err := c.Run(ctx, conn.Cmd{Argv: []string{"chown", "-R", "-h", "--", owner, dir}})
		if err != nil {
			return err
		}
		if out.Code != 0 {
			return &engine.CommandError{CommandResult: commandResult("chown -R "+owner+" "+dir, out)}
		}
	}
	return c.SetAttr(ctx, dir, a.attr())
}

// gitDir is where git keeps what is not a file of the working copy.
func (r gitRepo) gitDir() string { return path.Join(r.path, ".git") }
