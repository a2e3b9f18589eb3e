package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// errNoGit means that the host has no git.
var errNoGit = errors.New("git is not installed on the host")

// gitRepo is a working copy on the host and where it comes from.
type gitRepo struct {
	conn conn.Conn
	path string
	url  string
	env  map[string]string
}

// gitTarget is the version that a working copy shall be at.
type gitTarget struct {
	branch, tag string
	// commit is its hash; empty as long as nobody asked the remote.
	commit string
}

// gitState is what a working copy is at.
type gitState struct {
	// head is a hash; empty when nothing was checked out yet.
	head string
	// branch is empty when it is on none.
	branch string
	url    string
	// dirty says that files were changed that git knows.
	dirty bool
}

var sshOption = lazyregexp.New(`^[A-Za-z][A-Za-z0-9]*$`)

func checkSSHOptions(options map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !sshOption().MatchString(name) || strings.ContainsAny(options[name], "\n\x00") {
			return fmt.Errorf("ssh_options: %q with the value %q is no option of ssh", name, options[name])
		}
	}
	return nil
}

// sshEnv is the environment in which git asks nobody anything.
func sshEnv(acceptKeys bool, options map[string]string) map[string]string {
	check := "yes"
	if acceptKeys {
		check = "accept-new"
	}
	ssh := []string{"ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=" + check}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		// git hands the line to a shell.
		ssh = append(ssh, "-o", "'"+strings.ReplaceAll(name+"="+options[name], "'", `'\''`)+"'")
	}
	return map[string]string{
		"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": strings.Join(ssh, " "), "GIT_ASKPASS": "false", "SSH_ASKPASS": "false",
	}
}

// overSSH tells whether git will use ssh: for ssh:// and for host:path.
func (r gitRepo) overSSH() bool {
	if scheme, _, ok := strings.Cut(r.url, "://"); ok {
		return strings.HasSuffix(scheme, "ssh")
	}
	host, _, ok := strings.Cut(r.url, ":")
	return ok && !strings.Contains(host, "/")
}

// run runs git, with the SSH agent lent to it if it speaks to the remote.
func (r gitRepo) run(ctx context.Context, c conn.Cmd) (string, error) {
	c.Env = r.env
	c.ForwardAgent = r.overSSH()
	out, err := r.conn.Run(ctx, c)
	if err != nil {
		return "", err
	}
	if out.Code == 127 {
		return "", errNoGit
	}
	if out.Code != 0 {
		done := commandResult(strings.Join(c.Argv, " "), out)
		done.Cmd, done.Stderr, done.Stdout = r.hide(done.Cmd), r.hide(done.Stderr), r.hide(done.Stdout)
		failed := &engine.CommandError{CommandResult: done}
		if strings.Contains(done.Stderr, "dubious ownership") {
			return "", fmt.Errorf("git of %s will not use a repository on the host that belongs to another user; run the task "+
				"as its owner (with: {sudo: OWNER}), or allow it with git config --system --add safe.directory PATH: %w",
				r.conn.User(), failed)
		}
		return "", failed
	}
	return string(out.Stdout), nil
}

// hide takes a name and password in the repository's address out of s.
func (r gitRepo) hide(s string) string {
	u, err := url.Parse(r.url)
	if err != nil || u.User == nil || u.Scheme == "ssh" {
		return s
	}
	for _, secret := range []string{u.User.String(), u.User.Username()} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, engine.Hidden)
		}
	}
	if password, ok := u.User.Password(); ok && password != "" {
		s = strings.ReplaceAll(s, password, engine.Hidden)
	}
	return s
}

// local returns the command line of a git command for this working copy and no
// other that it may lie in.
func (r gitRepo) local(args ...string) []string {
	return append([]string{"git", "--no-optional-locks", "--git-dir=" + r.gitDir(), "--work-tree=" + r.path}, args...)
}

func (r gitRepo) git(ctx context.Context, args ...string) (string, error) {
	return r.run(ctx, conn.Cmd{Argv: r.local(args...), Dir: r.path})
}

func (r gitRepo) read(ctx context.Context, args ...string) (string, error) {
	return r.run(ctx, conn.Cmd{Argv: r.local(args...), Dir: r.path, ReadOnly: true})
}

// absent tells whether there is no working copy yet, and room for one.
func (r gitRepo) absent(ctx context.Context) (bool, error) {
	info, err := lstat(ctx, r.conn, r.gitDir())
	if err != nil || info != nil {
		return false, err
	}
	top, err := lstat(ctx, r.conn, r.path)
	if err != nil || top == nil {
		return true, err
	}
	if t := top.Mode.Type(); t != fs.ModeDir && t != fs.ModeSymlink {
		return false, fmt.Errorf("%s exists and is not a directory", r.path)
	}
	names, err := r.conn.ReadDir(ctx, r.path)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%s is no working copy of git, and it is not empty (it holds %q)", r.path, names[0])
	}
	return true, err
}

// checkOwner refuses another user's repository, whose settings could make git
// run anything, unless that user is the one the repository shall belong to.
func (r gitRepo) checkOwner(ctx context.Context, owner string) error {
	info, err := r.conn.Stat(ctx, r.gitDir())
	if err != nil {
		return err
	}
	if sameAccount(r.conn.User(), info.Owner, info.UID) || owner != "" && sameAccount(owner, info.Owner, info.UID) {
		return nil
	}
	return fmt.Errorf("%s belongs to %s, and the task runs as %s: run it as the owner (with: {sudo: %[2]s}), "+
		"or name the owner in attributes", r.path, info.Owner, r.conn.User())
}

// resolve asks the remote which commit a version is.
func (r gitRepo) resolve(ctx context.Context, t gitTarget) (gitTarget, error) {
	if t.branch == "" && t.tag == "" {
		return t, nil
	}
	want := []string{"refs/tags/" + t.tag + "^{}", "refs/tags/" + t.tag}
	kind, name := "tag", t.tag
	switch t.branch {
	case "":
	case remoteHead:
		want = []string{remoteHead}
	default:
		want = []string{"refs/heads/" + t.branch}
		kind, name = "branch", t.branch
	}
	out, err := r.run(ctx, conn.Cmd{
		Argv: append([]string{"git", "ls-remote", "--symref", "--", r.url}, want...), Dir: "/", ReadOnly: true,
	})
	if err != nil {
		return t, fmt.Errorf("asking the remote: %w", err)
	}
	refs := make(map[string]string)
	for l := range strings.Lines(out) {
		value, ref, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		if branch, ok := strings.CutPrefix(value, "ref: refs/heads/"); ok && ref == remoteHead {
			t.branch = branch
		} else if hashPattern().MatchString(value) {
			refs[ref] = value
		}
	}
	for _, ref := range want {
		if t.commit = refs[ref]; t.commit != "" {
			break
		}
	}
	switch {
	case t.commit == "" && t.branch == remoteHead:
		return t, errors.New("the remote has no commit yet")
	case t.commit == "":
		return t, fmt.Errorf("the remote has no %s called %q", kind, name)
	case t.branch == remoteHead:
		return t, errors.New("the remote's HEAD is no branch; give branch, tag or commit")
	}
	return t, nil
}

// look finds out what the working copy is at.
func (r gitRepo) look(ctx context.Context) (gitState, error) {
	var s gitState
	err := inParallel(ctx, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			out, err := r.read(ctx, "config", "--default", "", "--get", "remote.origin.url")
			s.url = strings.TrimSuffix(out, "\n")
			return err
		}
		out, err := r.read(ctx, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=all")
		s.parse(out)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("looking at %s: %w", r.path, err)
	}
	return s, nil
}

// parse takes the output of git status --porcelain=v2 --branch.
func (s *gitState) parse(status string) {
	for l := range strings.Lines(status) {
		l = strings.TrimSuffix(l, "\n")
		switch {
		case strings.HasPrefix(l, "# branch.oid "):
			if s.head = l[len("# branch.oid "):]; s.head == "(initial)" {
				s.head = ""
			}
		case strings.HasPrefix(l, "# branch.head "):
			if s.branch = l[len("# branch.head "):]; s.branch == "(detached)" {
				s.branch = ""
			}
		case !strings.HasPrefix(l, "#"):
			s.dirty = true
		}
	}
}

// ownRefs is where commits are kept that were fetched by their hash.
const ownRefs = "refs/jet-bus"

// unpublished counts the commits, of the one it is at and of a branch, that came
// from no remote.
func (r gitRepo) unpublished(ctx context.Context, branch string) (int, error) {
	args := []string{"rev-list", "--count", "--ignore-missing", "HEAD"}
	if branch != "" {
		args = append(args, "refs/heads/"+branch)
	}
	out, err := r.read(ctx, append(args, "--not", "--remotes", "--tags", "--glob="+ownRefs, "--")...)
	if err != nil {
		return 0, fmt.Errorf("looking for commits of its own: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

// init makes an empty repository.
func (r gitRepo) init(ctx context.Context) error {
	if err := r.conn.Mkdir(ctx, r.path, conn.Attr{}); err != nil {
		if info, serr := r.conn.Stat(ctx, r.path); serr != nil || !info.Mode.IsDir() {
			return err
		}
	}
	if _, err := r.run(ctx, conn.Cmd{Argv: []string{"git", "init", "-q", "--", r.path}, Dir: r.path}); err != nil {
		return err
	}
	_, err := r.git(ctx, "config", "--replace-all", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
	return err
}

// move fetches a version and checks it out. It returns the commit.
func (r gitRepo) move(ctx context.Context, t gitTarget, depth uint16, force bool) (string, error) {
	if err := r.fetch(ctx, t, depth); err != nil {
		return "", fmt.Errorf("fetching: %w", err)
	}
	args := []string{"checkout", "--quiet"}
	if force {
		args = append(args, "--force")
	}
	switch {
	case t.branch != "":
		args = append(args, "-B", t.branch, "refs/remotes/origin/"+t.branch)
	case t.tag != "":
		args = append(args, "--detach", "refs/tags/"+t.tag)
	default:
		args = append(args, "--detach", t.commit)
	}
	if _, err := r.git(ctx, append(args, "--")...); err != nil {
		return "", fmt.Errorf("checking out: %w", err)
	}
	out, err := r.read(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(out), err
}

func (r gitRepo) fetch(ctx context.Context, t gitTarget, depth uint16) error {
	// Submodules are brought once their addresses are known.
	args := []string{"fetch", "--quiet", "--force", "--no-recurse-submodules"}
	if depth > 0 {
		args = append(args, "--depth", strconv.Itoa(int(depth)))
	}
	args = append(args, "origin")
	var err error
	switch {
	case t.branch != "":
		_, err = r.git(ctx, append(args, "+refs/heads/"+t.branch+":refs/remotes/origin/"+t.branch)...)
		return err
	case t.tag != "":
		_, err = r.git(ctx, append(args, "+refs/tags/"+t.tag+":refs/tags/"+t.tag)...)
		return err
	}
	if _, err = r.read(ctx, "cat-file", "-e", t.commit+"^{commit}"); err == nil {
		return nil
	}
	own := "+" + t.commit + ":" + ownRefs + "/commit"
	if _, err = r.git(ctx, append(args, own)...); err == nil {
		return nil
	}
	// Servers may hand out nothing but branches and tags.
	if _, all := r.git(ctx, "fetch", "--quiet", "--force", "--no-recurse-submodules", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"); all != nil {
		return all
	}
	if _, missing := r.read(ctx, "cat-file", "-e", t.commit+"^{commit}"); missing != nil {
		return fmt.Errorf("the remote has no commit %s: %w", t.commit, err)
	}
	return nil
}
