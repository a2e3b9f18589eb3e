package modules

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// script is the script module. The script is sent to the host, run there and taken
// away again. It runs every time, unless creates says that it has run; in check mode
// it does not.
//
// The result holds rc (the exit status), out (the standard output) and err (the
// standard error).
type script struct {
	// Src is the script: an absolute path on this machine, or a path in the
	// folder files of the role or of the playbook. It begins with #! and the
	// program that runs it, or is a program for the host.
	Src string `yaml:"src,required"`
	// Args are the script's arguments, handed over as they are: no shell sees
	// them.
	Args []string `yaml:"args"`
	// Creates is an absolute path on the host: when something exists there, the
	// script is not run.
	Creates hostPath `yaml:"creates"`
	// Chdir is the absolute path of the directory to run in. When it is not
	// given, that is the user's home over SSH, and the runner's own directory on
	// this machine.
	Chdir hostPath `yaml:"chdir"`
	// TmpDir is the directory on the host in which the script gets a folder of
	// its own for as long as it runs. It is /tmp when it is not given; hosts that
	// run no programs there need another one.
	TmpDir hostPath `yaml:"tmp_dir"`
	// Save is the variable that gets a mapping of rc, out and err, as with shell.
	// It is stored even if the task fails.
	Save varName `yaml:"save"`
	// FailedWhen is a condition that says whether the script failed, instead of
	// an exit status other than 0. It sees rc, out and err besides the variables.
	FailedWhen engine.Expr `yaml:"failed_when"`
	// ChangedWhen is a condition that says whether the script changed something;
	// otherwise it is taken to have. It sees rc, out and err too.
	ChangedWhen engine.Expr `yaml:"changed_when"`

	file string
}

func (m *script) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.file, err = h.SourcePath("files", m.Src); err != nil {
		return engine.Plan{}, err
	}
	if m.Creates != "" {
		_, err := h.Conn.Lstat(ctx, string(m.Creates))
		if !errors.Is(err, fs.ErrNotExist) {
			return engine.Plan{Need: engine.Matched}, err
		}
	}
	return engine.Plan{Need: engine.Execute}, nil
}

func (m *script) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	out, err := program{file: m.file, dir: m.TmpDir, args: m.Args, chdir: m.Chdir}.run(ctx, h.Conn)
	if err != nil {
		return engine.Result{}, err
	}
	done := commandResult(strings.Join(append([]string{m.Src}, m.Args...), " "), out)
	res := engine.Result{Command: &done, Data: results(done)}
	if m.Save != "" {
		h.Set(string(m.Save), res.Data)
	}
	changed, err := verdict{m.FailedWhen, m.ChangedWhen}.judge(h, done, res.Data, true)
	res.Passive = !changed
	return res, err
}
