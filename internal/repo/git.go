package repo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// oldest is the first version that takes configuration from its environment.
const (
	oldestMajor, oldestMinor = 2, 31
	// maxSaid is how much of what git says is in an error, in bytes.
	maxSaid = 800
	// maxListed is how much is read of what git prints, in bytes; content of the most files has less.
	maxListed = 64 << 20
	// dying is how long git's pipes may stay open after it was ended.
	dying = 3 * time.Second
)

// git runs a git command on the clone and returns what it prints.
func (r *Repo) git(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	cmd, said := r.command(ctx, nil, args...)
	cmd.Stdout = &limited{w: &out, left: maxListed}
	if err := cmd.Run(); err != nil {
		return "", r.failure(ctx, err, said.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// command returns a git command on the clone, and what it will have said. Its environment is made here: of this
// process's own it has the search path and the proxies.
func (r *Repo) command(ctx context.Context, extra []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	settings := []string{
		"core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "credential.helper=", "gc.auto=0",
		"maintenance.auto=false", "fetch.unpackLimit=1", "fetch.recurseSubmodules=false", "submodule.recurse=false", "http.followRedirects=false",
		"http.lowSpeedLimit=100", "http.lowSpeedTime=30",
	}
	if r.o.CA != "" {
		settings = append(settings, "http.sslCAInfo="+r.o.CA)
	}
	var all []string
	for _, s := range settings {
		all = append(all, "-c", s)
	}
	cmd := exec.CommandContext(ctx, "git", append(all, args...)...) //nolint:gosec // the arguments are ours, or were checked
	cmd.Dir = r.o.Dir
	cmd.Env = []string{
		"LC_ALL=C", "HOME=" + r.o.Dir, "XDG_CONFIG_HOME=" + r.o.Dir, "GIT_DIR=" + r.o.Dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=",
		"GIT_ALLOW_PROTOCOL=" + r.protocol, "GIT_SSH_VARIANT=ssh",
	}
	if r.protocol == "ssh" {
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+r.ssh())
	}
	if r.o.Getenv != nil {
		for _, name := range []string{
			"PATH", "TMPDIR", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
		} {
			if v := r.o.Getenv(name); v != "" {
				cmd.Env = append(cmd.Env, name+"="+v)
			}
		}
	}
	cmd.Env = append(cmd.Env, extra...)
	// What git has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = dying
	var said bytes.Buffer
	cmd.Stderr = &limited{w: &said, left: 64 << 10}
	return cmd, &said
}

// ssh is the command that git reaches a host with. Nobody is asked, and no host is believed that is not known.
func (r *Repo) ssh() string {
	args := []string{
		"ssh", "-F", "none", "-i", r.o.SSHKey, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "ForwardAgent=no", "-o", "PermitLocalCommand=no",
		"-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15",
	}
	if r.o.KnownHosts != "" {
		args = append(args, "-o", `UserKnownHostsFile="`+r.o.KnownHosts+`"`, "-o", "GlobalKnownHostsFile=/dev/null")
	}
	for i, a := range args { // git hands this to a shell
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(args, " ")
}

// token returns the environment that has git show the token, and only to the repository's own host.
func (r *Repo) token() ([]string, error) {
	if r.o.TokenFile == "" {
		return nil, nil
	}
	info, err := os.Stat(r.o.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("read the token of the repository: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("token file %s can be read by others; chmod 600 it", r.o.TokenFile)
	}
	data, err := os.ReadFile(r.o.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("read the token of the repository: %w", err)
	}
	login := strings.TrimSpace(string(data))
	if login == "" || strings.ContainsAny(login, "\r\n") {
		return nil, fmt.Errorf("token file %s must hold one line, TOKEN or USER:TOKEN", r.o.TokenFile)
	}
	if !strings.Contains(login, ":") {
		login = "x-access-token:" + login // what the name is, forges do not mind
	}
	u, err := url.Parse(r.o.URL)
	if err != nil {
		return nil, errors.New("the repository's address cannot be read")
	}
	return []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http.https://" + u.Host + "/.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(login)),
	}, nil
}

// failure makes one sentence of what git said.
func (r *Repo) failure(ctx context.Context, err error, said string) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.DeadlineExceeded):
		return errors.New("git did not end in time")
	case cause != nil:
		return cause
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("git is not installed here; content from a repository needs it")
	}
	var lines []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "Please make sure") || strings.HasPrefix(line, "and the repository exists") {
			continue
		}
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, "fatal: "), "error: "))
	}
	text := strings.Join(lines, "; ")
	if len(text) > maxSaid {
		text = "…" + strings.ToValidUTF8(text[len(text)-maxSaid:], "")
	}
	switch {
	case text == "":
		return fmt.Errorf("git: %w", err)
	case strings.Contains(text, "could not read Username"), strings.Contains(text, "Authentication failed"):
		if r.o.TokenFile == "" {
			return errors.New("the repository asks for a login, and there is no token")
		}
		return fmt.Errorf("the repository refuses the token in %s", r.o.TokenFile)
	case strings.Contains(text, "Host key verification failed"):
		return fmt.Errorf("the host's key is not known, or is another: %s", text)
	}
	return fmt.Errorf("git: %s", text)
}

// limited keeps the first bytes that are written.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.w.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}
