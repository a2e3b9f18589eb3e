package rulebook

import (
	slashpath "path"
	"strings"

	"gopkg.in/yaml.v3"
)

// run converts the actions that run something.
func (r *rule) run(e *effects, key, n *yaml.Node) {
	run, at := newMap(), text("run")
	name := ""
	if v := member(n, "name"); v != nil && v.Kind == yaml.ScalarNode {
		name = v.Value
	}
	put(run, "playbook", text(r.playbook(key, at, name)))
	limit := r.set.limit
	vars := newMap()
	var retries, delay int64
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		switch k.Value {
		case "name", "ruleset", "var_root":
		case "extra_vars":
			r.extraVars(vars, v, at, "extra_vars")
		case "module_args":
			r.extraVars(vars, v, at, "module_args")
		case "job_args":
			limit = r.jobArgs(vars, v, at, limit)
		case "retry":
			if scalar(v) == true && retries == 0 {
				retries = 1
			}
		case "retries":
			retries, _ = scalar(v).(int64)
		case "delay":
			delay = seconds(v)
		case "verbosity", "json_mode", "copy_files", "include_events":
			r.find(k, at, Converted, "%s: needs no counterpart", k.Value)
		case "set_facts", "post_events":
			if scalar(v) == true {
				r.find(k, at, NotConverted, "%s: every result of a task is an event already, %s; the module publish makes further ones",
					k.Value, "dev.jet-bus.task.finished.v1")
			}
		case "lock":
			if r.set.parallel {
				put(run, "concurrency", r.lock(v, at))
			}
		default:
			r.find(k, at, NotConverted, "%s of %s has no counterpart", k.Value, key.Value)
		}
	}
	if limit != nil {
		put(run, "limit", clone(limit))
	}
	if member(vars, "ansible_eda") == nil {
		put(vars, "ansible_eda", r.eda(key, n, at))
	}
	put(run, "vars", vars)
	if retries > 0 {
		r.retry(run, key, at, retries, delay)
	}
	if !r.set.parallel {
		put(run, "concurrency", text("rulebook-"+r.set.slug))
	}
	e.runs = append(e.runs, runEffect{from: key, key: at, value: run})
}

// playbook says which playbook of ours stands for what an action runs.
func (r *rule) playbook(key, at *yaml.Node, name string) string {
	stub := "playbooks/" + slug(name[strings.LastIndexAny(name, "./")+1:], "-") + ".yml"
	if key.Value != "run_playbook" {
		stub = "playbooks/" + slug(name, "-") + ".yml"
	}
	if stub == "playbooks/.yml" {
		stub = "playbooks/" + r.set.slug + ".yml"
	}
	switch {
	case key.Value == "run_module":
		r.find(key, at, NotConverted, "run_module %s: write the playbook %s with a task that does it; the arguments are in its variables", name, stub)
	case key.Value != "run_playbook":
		r.find(key, at, NotConverted, "%s %s: there is no controller to ask; write the playbook %s in its place", key.Value, name, stub)
	case strings.Contains(name, "{{"):
		stub = "playbooks/" + r.set.slug + ".yml"
		r.find(key, at, NotConverted, "run_playbook %s: the name of a playbook is fixed; take a rule for each, or let %s decide", name, stub)
	case strings.HasSuffix(name, ".yml") || strings.HasSuffix(name, ".yaml"):
		clean := slashpath.Clean(name)
		if slashpath.IsAbs(clean) || strings.HasPrefix(clean, "..") || strings.ContainsAny(clean, "\\") || clean != printable(clean) {
			stub = "playbooks/" + slug(strings.TrimSuffix(slashpath.Base(clean), slashpath.Ext(clean)), "-") + ".yml"
			r.find(key, at, Differs, "run_playbook %s: playbooks are below the content directory; %s is taken", name, stub)
			return stub
		}
		r.find(key, at, Converted, "run_playbook: runs %s, which must be a playbook of jet-bus", clean)
		return clean
	default:
		r.find(key, at, NotConverted, "run_playbook %s: there are no collections; write the playbook %s in its place", name, stub)
	}
	return stub
}

// extraVars adds the members of a mapping to the variables of a run.
func (r *rule) extraVars(vars, n, at *yaml.Node, what string) {
	if n.Kind != yaml.MappingNode {
		return
	}
	m := r.value(n, at, what)
	for i := 0; i+1 < len(m.Content); i += 2 {
		if member(vars, m.Content[i].Value) != nil {
			r.find(n, at, NotConverted, "%s.%s: there is a variable of this name", what, m.Content[i].Value)
			continue
		}
		vars.Content = append(vars.Content, m.Content[i], m.Content[i+1])
	}
}

func (r *rule) jobArgs(vars, n, at, limit *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		switch k.Value {
		case "extra_vars":
			r.extraVars(vars, v, at, "extra_vars")
		case "limit":
			limit = asText(r.value(v, at, "limit"))
		default:
			r.find(k, at, NotConverted, "job_args.%s has no counterpart", k.Value)
		}
	}
	return limit
}

// eda is the variable in which playbooks expect the event.
func (r *rule) eda(key, n, at *yaml.Node) *yaml.Node {
	m := newMap()
	if root := member(n, "var_root"); root != nil {
		put(m, "event", r.varRoot(root, at))
		return m
	}
	switch r.shape {
	case single:
		put(m, "event", text("${{ event.data }}"))
	case anyOf:
		events := newMap()
		put(events, "match", text("${{ event.data }}"))
		put(m, "events", events)
	default:
		put(m, "events", r.matched(key))
	}
	return m
}

func (r *rule) lock(n, at *yaml.Node) *yaml.Node {
	if x, err := parseExpression(n.Value); err == nil && n.Kind == yaml.ScalarNode {
		if p, ok := x.(*path); ok && (p.root == "event" || p.root == "events") && len(p.steps) > 0 {
			c := *n
			c.Value = "{{ " + n.Value + " }}"
			return r.value(&c, at, "lock")
		}
	}
	return asText(r.value(n, at, "lock"))
}

// asText makes text of a value that is neither a list nor a mapping.
func asText(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.ScalarNode {
		return text(n.Value)
	}
	return n
}

func (r *rule) retry(run, key, at *yaml.Node, retries, delay int64) {
	attempts := retries + 1
	if attempts > 100 {
		r.find(key, at, Differs, "retries: a job is tried 100 times at the most")
		attempts = 100
	}
	m := newMap()
	m.Style = yaml.FlowStyle
	put(m, "attempts", plain(attempts))
	backoff := min(max(delay, 1), 3600)
	put(m, "backoff", text(timespan{seconds: backoff}.String()))
	put(run, "retry", m)
	if attempts > 2 || backoff != delay {
		r.find(key, at, Differs, "delay: the first repetition waits %ds, and each one after it twice as long", backoff)
	}
}

func seconds(n *yaml.Node) int64 {
	switch v := scalar(n).(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	default:
		return 0
	}
}
