package modules

import (
	"testing"

	"github.com/jet-bus/jet-bus/engine"
)

func TestGitSubmodules(t *testing.T) {
	// git clones submodules from local repositories only where it is told to.
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
	t.Setenv("GIT_CONFIG_VALUE_0", "always")
	deep, sub, top := newOrigin(t), newOrigin(t), newOrigin(t)
	sub.git("submodule", "--quiet", "add", "file://"+deep.dir, "deep")
	sub.git("commit", "-q", "-m", "deep")
	top.git("submodule", "--quiet", "add", "file://"+sub.dir, "it's a sub")
	top.git("commit", "-q", "-m", "sub")

	c := newClone(t, top, "file://")
	file, deepFile := c.dir()+"/it's a sub/file", c.dir()+"/it's a sub/deep/file"
	c.bring("without", gitModule{}, engine.Create)
	c.bring("with", gitModule{Submodules: true}, engine.Modify, fieldSubmodules)
	if got := read(t, file) + read(t, deepFile); got != "oneone" {
		t.Errorf("the submodules hold %q", got)
	}
	deep.commit("deep two")
	sub.commit("two")
	c.bring("newer ones that nobody named", gitModule{Submodules: true}, engine.Matched)
	top.git("-C", "it's a sub", "pull", "--quiet")
	top.git("commit", "-q", "-a", "-m", "bump")
	c.bring("bumped", gitModule{Submodules: true}, engine.Modify, fieldVersion)
	if got := read(t, file); got != "two" {
		t.Errorf("the submodule holds %q", got)
	}
	gitIn(t, c.dir()+"/it's a sub", "checkout", "--quiet", "HEAD^")
	c.bring("without, once moved", gitModule{}, engine.Matched)
	c.bring("moved", gitModule{Submodules: true}, engine.Modify, fieldSubmodules)

	other := newOrigin(t)
	other.git("pull", "--quiet", "--rebase", "file://"+sub.dir, "main")
	other.commit("three")
	top.git("config", "-f", ".gitmodules", "submodule.it's a sub.url", "file://"+other.dir)
	top.git("submodule", "--quiet", "sync")
	top.git("-C", "it's a sub", "pull", "--quiet", "--rebase")
	top.git("commit", "-q", "-a", "-m", "elsewhere")
	c.bring("from elsewhere", gitModule{Submodules: true}, engine.Modify, fieldVersion)
	if got := read(t, file); got != "three" {
		t.Errorf("the submodule holds %q", got)
	}

	fresh := newClone(t, top, "file://")
	fresh.bring("all at once", gitModule{Submodules: true, Depth: 1}, engine.Create)
}
