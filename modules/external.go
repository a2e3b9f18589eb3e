package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// external is the external module: a program of the playbook's author that runs
// on the host. It gets its parameters as JSON on its standard input, and answers
// with one JSON or YAML mapping on its standard output. Its member changed says
// whether something was changed, and msg is shown.
//
// The result holds the members of the answer, and rc, the exit status.
type external struct {
	// Use is the file name of the program, which is looked for in the folders of
	// --modules and then in the folder modules beside the playbook. An absolute
	// path of this machine is taken as it is.
	Use string `yaml:"use,required"`
	// Params are the program's parameters. Templates in the values, at any depth,
	// are rendered and come to text; other values keep their type.
	Params map[string]any `yaml:"params,required"`
	// Save is the variable that gets the program's answer, with rc added. It is
	// stored even if the task fails.
	Save varName `yaml:"save"`
	// FailedWhen is a condition that says whether the program failed, instead of
	// an exit status other than 0. It sees rc and the members of the answer
	// besides the variables.
	FailedWhen engine.Expr `yaml:"failed_when"`
	// ChangedWhen is a condition that says whether the program changed something,
	// instead of the answer's member changed, which counts as true when it is
	// missing. It sees rc and the members of the answer too.
	ChangedWhen engine.Expr `yaml:"changed_when"`
	// TmpDir is the directory on the host in which the program gets a folder of
	// its own for as long as it runs. It is /tmp when it is not given; hosts that
	// run no programs there need another one.
	TmpDir hostPath `yaml:"tmp_dir"`

	program program
}

// Validate checks that use leads nowhere out of the folders.
func (m *external) Validate() error {
	if !filepath.IsLocal(m.Use) && !filepath.IsAbs(m.Use) {
		return fmt.Errorf("use must be the name of a file in a folder of modules, not %q", m.Use)
	}
	return nil
}

func (m *external) Query(_ context.Context, h *engine.Host) (engine.Plan, error) {
	file, err := h.Modules(m.Use)
	if err != nil {
		return engine.Plan{}, err
	}
	params := m.Params
	if params == nil {
		params = map[string]any{}
	}
	input, err := json.Marshal(params)
	if err != nil {
		return engine.Plan{}, fmt.Errorf("writing params as JSON: %w", err)
	}
	m.program = program{file: file, dir: m.TmpDir, input: input}
	return engine.Plan{Need: engine.Execute}, nil
}

func (m *external) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	out, err := m.program.run(ctx, h.Conn)
	if err != nil {
		return engine.Result{}, err
	}
	done := commandResult(m.Use, out)
	answer, bad := answerOf(m.Use, out.Stdout)
	res := engine.Result{Command: &done, Data: map[string]any{"rc": int64(out.Code)}}
	rc := res.Data
	res.Data = maps.Clone(answer)
	if res.Data == nil {
		res.Data = make(map[string]any, 1)
	}
	maps.Copy(res.Data, rc)
	if m.Save != "" {
		h.Set(string(m.Save), res.Data)
	}
	if bad != nil && done.RC == 0 {
		return res, &engine.CommandError{CommandResult: done, Why: bad.Error()}
	}
	changed, ok := answer["changed"].(bool)
	changed, err = verdict{m.FailedWhen, m.ChangedWhen}.judge(h, done, res.Data, changed || !ok)
	res.Passive = !changed
	if msg, ok := answer["msg"].(string); ok && err == nil {
		res.Message = msg
	}
	return res, err
}

// answerOf reads what a program printed.
func answerOf(name string, stdout []byte) (map[string]any, error) {
	f, err := strictyaml.Parse("output of "+name, stdout)
	if err != nil {
		return nil, err
	}
	if f.Root == nil {
		return nil, errors.New("the program printed nothing; it must print one mapping, such as {}")
	}
	v, err := f.Value(f.Root)
	if err != nil {
		return nil, err
	}
	answer, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the program must print one mapping, as JSON or YAML, and nothing else")
	}
	return answer, nil
}
