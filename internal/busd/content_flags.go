package busd

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/repo"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// leastEvery is how often a repository may be looked at, at most.
const leastEvery = 5 * time.Second

// contentFlags say where content comes from.
type contentFlags struct {
	dir   string
	watch bool

	git   repo.Options
	every time.Duration
	hook  string
}

// gitFlags are the names of the flags that go with --content-git.
func gitFlags() []string {
	return []string{
		"content-ref", "content-path", "content-every", "content-hook", "content-ssh-key", "content-known-hosts", "content-token-file", "content-ca",
	}
}

func (f *contentFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "content", "", "`directory` with rules/, playbooks/, inventory/ and what they need (this or --content-git is required)")
	fl.BoolVar(&f.watch, "watch", true, "put changes of the content directory in force by themselves; without it, at SIGHUP")
	fl.StringVar(&f.git.URL, "content-git", "", "`URL` of a git repository to take content from instead: https://…, ssh://…, USER@HOST:PATH or a path; needs git")
	fl.StringVar(&f.git.Ref, "content-ref", "main", "`branch`, tag or commit of it, with --content-git")
	fl.StringVar(&f.git.Path, "content-path", "", "`directory` in it (default: all of it)")
	fl.DurationVar(&f.every, "content-every", time.Minute, "how often to look for a newer commit; 0 for only at SIGHUP and by --content-hook")
	fl.StringVar(&f.hook, "content-hook", "", "`name` of the webhook whose deliveries have the repository looked at at once")
	fl.StringVar(&f.git.SSHKey, "content-ssh-key", "", "private key `file`, for a repository over SSH")
	fl.StringVar(&f.git.KnownHosts, "content-known-hosts", "", "`file` with the key of the repository's host (default: those of the user and the machine)")
	fl.StringVar(&f.git.TokenFile, "content-token-file", "", "`file` with a token, or USER:TOKEN, for a repository over HTTPS")
	fl.StringVar(&f.git.CA, "content-ca", "", "`file` of certificates to trust for a repository over HTTPS (default: the system's)")
}

// check refuses flags that do not go together.
func (f *contentFlags) check(changed func(string) bool) error {
	switch {
	case f.dir != "" && f.git.URL != "":
		return proc.Usagef("--content and --content-git exclude each other")
	case f.dir == "" && f.git.URL == "":
		return proc.Usagef("say with --content which directory has the rules and playbooks, or with --content-git which repository")
	case f.git.URL != "" && changed("watch"):
		return proc.Usagef("--watch is about a directory; with --content-git there is --content-every")
	case f.every != 0 && f.every < leastEvery:
		return proc.Usagef("--content-every must be 0, or %s or more, not %s", leastEvery, f.every)
	}
	if f.git.URL != "" {
		return nil
	}
	if i := slices.IndexFunc(gitFlags(), changed); i >= 0 {
		return proc.Usagef("--%s goes with --content-git", gitFlags()[i])
	}
	return nil
}

// fill writes into o where content comes from.
func (f *contentFlags) fill(env proc.Env, o *Options) error {
	if f.git.URL == "" {
		o.Content, o.Watch = f.dir, f.watch
		return nil
	}
	g := f.git
	g.Getenv = env.Getenv
	o.Git = &Git{Options: g, Every: f.every, Hook: f.hook}
	g.Dir = o.Data
	if _, err := repo.New(g); err != nil {
		return proc.Usagef("content from a repository: %w", err)
	}
	return nil
}

// checkHook refuses the name of a webhook that there is not.
func (g *Git) checkHook(hooks []webhook.Hook) error {
	if g == nil || g.Hook == "" || slices.ContainsFunc(hooks, func(h webhook.Hook) bool { return h.Name == g.Hook }) {
		return nil
	}
	return fmt.Errorf("--content-hook: there is no webhook %q in the webhooks file", g.Hook)
}
