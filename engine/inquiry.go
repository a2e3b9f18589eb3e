package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// inquiry is what a task found that it would have to do.
type inquiry struct {
	module Module
	host   *Host
	plan   Plan
	// skip is true when skip_if_exists found something.
	skip bool
}

// converges says whether there is something to be done that is not to be done
// again once it is.
func (q *inquiry) converges() bool {
	return !q.skip && (q.plan.Need == Create || q.plan.Need == Modify || q.plan.Need == Remove)
}

// inquire fills in the task's parameters and asks its module what is to be done,
// over the connection that dial returns. It changes nothing, neither on the host
// nor in the run, so that it may also be called ahead of the task's turn.
func (x *execution) inquire(ctx context.Context, vars map[string]any, dial func(context.Context) (conn.Conn, error)) (inquiry, error) {
	if x.skipIfExists != nil {
		c, err := dial(ctx)
		if err != nil {
			return inquiry{}, err
		}
		if exists, err := x.exists(ctx, c, vars); err != nil || exists {
			return inquiry{skip: exists}, err
		}
	}
	q, err := x.prepare(vars)
	if err != nil {
		return inquiry{}, fault{err}
	}
	if o, ok := q.module.(Offline); !ok || !o.Offline() {
		if q.host.Conn, err = dial(ctx); err != nil {
			return inquiry{}, err
		}
	}
	q.plan, err = q.module.Query(ctx, q.host)
	return q, err
}

// prepare returns the task's module with its parameters filled in and what it is
// to see of the host, but for the connection. What the module would store is
// refused until it is carried out.
func (x *execution) prepare(vars map[string]any) (inquiry, error) {
	m, err := x.newModule(vars)
	if x.merged != nil && err == nil {
		var together bool
		if m, together = x.mergedModule(x.merged); !together {
			// They did before: a file that a parameter is read from may have changed.
			err = errors.New("what the items ask for has changed meanwhile: run the task again")
		}
	}
	if err != nil {
		return inquiry{}, err
	}
	return inquiry{module: m, host: &Host{
		Name: x.host.host.Name, Vars: vars, Check: x.Check, Diff: x.Diff, Environ: x.ProcessEnv,
		Began: x.began,
		run: &hostRun{
			dir: x.scope.dir(), sources: &x.sources,
			modules: slices.Concat(x.ModulesPath, []string{filepath.Join(x.scope.play.dir, "modules")}),
		},
	}}, nil
}

// exists says whether the path of skip_if_exists is there. A symbolic link is,
// wherever it points.
func (x *execution) exists(ctx context.Context, c conn.Conn, vars map[string]any) (bool, error) {
	p, err := x.skipIfExists.render("skip_if_exists", vars)
	if err != nil {
		return false, fault{err}
	}
	if !path.IsAbs(p) {
		return false, fault{x.skipIfExists.Errorf("skip_if_exists must be an absolute path, not %q", p)}
	}
	_, err = c.Lstat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the file of skip_if_exists: %w", err)
	}
	return true, nil
}
