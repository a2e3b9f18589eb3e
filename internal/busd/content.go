package busd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/notify"
	"github.com/jet-bus/jet-bus/internal/plans"
	"github.com/jet-bus/jet-bus/rules"
)

// loaded is a content directory, read and found to be sound.
type loaded struct {
	dispatch.Content
	bundle  content.Bundle
	targets *notify.Targets
}

// load reads the content directory: its rules as one set, all of it as a bundle.
// All faults are reported, those of playbooks and inventories too: a job that is
// bound to fail is better never made.
func load(ctx context.Context, dir string) (loaded, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return loaded{}, fmt.Errorf("read content: %w", err)
	}
	if !info.IsDir() {
		return loaded{}, fmt.Errorf("read content: %s is not a directory", dir)
	}
	bundle, err := content.Build(ctx, dir)
	if err != nil {
		return loaded{}, err
	}
	// The rules are read from the bundle, so that what is in force and what
	// runners get are the same files even if somebody is editing them.
	tmp, err := os.MkdirTemp("", "jet-bus-content-")
	if err != nil {
		return loaded{}, fmt.Errorf("read content: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	unpacked, err := content.Unpack(ctx, bytes.NewReader(bundle.Data), bundle.Digest, tmp)
	if err != nil {
		return loaded{}, err
	}
	set, err := rules.Load(os.DirFS(unpacked), "rules")
	if err != nil {
		return loaded{}, err
	}
	p, plansErr := plans.Read(ctx, unpacked, set)
	targets, targetsErr := notify.Read(os.DirFS(unpacked), set)
	if err := errors.Join(plansErr, targetsErr); err != nil {
		return loaded{}, err
	}
	return loaded{
		Content: dispatch.Content{Set: set, Bundle: bundle.Digest, Hosts: p.Hosts}, bundle: bundle, targets: targets,
	}, nil
}
