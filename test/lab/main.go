package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// Required reports whether the suites that need real components are to run: JET_TEST is "all".
func Required() bool { return os.Getenv("JET_TEST") == "all" }

// Main is the body of TestMain in a package whose tests need hosts. It runs the tests when they are
// [Required] and ends the process with status 1 when the engine or the image is missing; otherwise
// it has go test report the package as one with no tests to run.
func Main(m *testing.M) {
	if !Required() {
		// The words by which go test knows a package that ran nothing; it then says so in its line.
		fmt.Println("testing: warning: no tests to run")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	err := available(ctx)
	cancel()
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// available says what this machine lacks to start hosts.
func available(ctx context.Context) error {
	if _, err := docker(ctx, "version"); err != nil {
		return fmt.Errorf("reaching the container engine: %w", err)
	}
	for _, image := range []Image{Debian, Packages} {
		if _, err := docker(ctx, "image", "inspect", string(image)); err != nil {
			return errors.Join(fmt.Errorf("finding image %s: %w", image, err),
				errors.New("run test/run lab, which builds it"))
		}
	}
	return nil
}
