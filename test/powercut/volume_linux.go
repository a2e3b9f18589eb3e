package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// shutdownRequest is FS_IOC_SHUTDOWN, noLogFlush its flag that drops the journal as well: what a power cut does.
	shutdownRequest = 0x8004587d
	noLogFlush      = 2

	volumeSize = 512 << 20 // of a sparse file
	unmountIn  = 20 * time.Second
	mountIn    = 5 * time.Minute
)

// volume is a file system in a file, mounted.
type volume struct{ image, dir string }

// newVolume makes and mounts one in a directory.
func newVolume(ctx context.Context, dir, system string) (*volume, error) {
	v := &volume{image: filepath.Join(dir, system+".img"), dir: filepath.Join(dir, system)}
	f, err := os.OpenFile(v.image, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	if err := errors.Join(f.Truncate(volumeSize), f.Close(), os.Mkdir(v.dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	if err := command(ctx, "mkfs."+system, "-q", v.image); err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	return v, v.mount(ctx)
}

// mount mounts the disk, and sees to it that it is the disk and not what was before the cut: whoever made a mount
// namespace meanwhile holds that for as long as it lasts.
func (v *volume) mount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mountIn)
	defer cancel()
	for {
		// mount takes a free loop device, which the end of the mount gives back.
		if err := command(ctx, "mount", "-o", "loop", v.image, v.dir); err != nil {
			return fmt.Errorf("mount the disk: %w", err)
		}
		probe := filepath.Join(v.dir, "probe")
		err := errors.Join(os.WriteFile(probe, nil, 0o600), os.Remove(probe))
		if err == nil {
			return nil
		}
		if err := errors.Join(ctx.Err(), v.unmount(ctx)); err != nil {
			return fmt.Errorf("mount the disk: %w", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// cut cuts the power.
func (v *volume) cut() error {
	d, err := os.Open(v.dir)
	if err != nil {
		return fmt.Errorf("cut the power: %w", err)
	}
	err = unix.IoctlSetPointerInt(int(d.Fd()), shutdownRequest, noLogFlush)
	return errors.Join(err, d.Close())
}

// unmount takes the disk away; who uses it still must be about to end.
func (v *volume) unmount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, unmountIn)
	defer cancel()
	for {
		err := command(ctx, "umount", v.dir)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// remove unmounts the disk for good.
func (v *volume) remove(ctx context.Context) error {
	if err := v.unmount(ctx); err != nil {
		return err
	}
	return errors.Join(os.Remove(v.image), os.Remove(v.dir))
}

// command runs a program, and has what it says in the error.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the programs of this file
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	cmd.Path, cmd.Err = path, nil
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// lookPath finds a program, also where only root looks.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}
