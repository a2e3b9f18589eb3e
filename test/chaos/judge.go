package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// evidenceFile, in the directory of a run, holds its evidence.
const evidenceFile = "evidence.json"

// errBroken means that the check found something.
var errBroken = errors.New("something is broken")

// judge judges evidence and prints the report.
func judge(e *evidence, asJSON bool, stdout io.Writer) error {
	r := newReport(e)
	write := r.writeTable
	if asJSON {
		write = r.writeJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if len(r.Violations) > 0 {
		return errBroken
	}
	return nil
}

// judgeAgain judges what an earlier run has left.
func judgeAgain(s settings, stdout io.Writer) error {
	text, err := os.ReadFile(s.Judge)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	var e evidence
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	return judge(&e, s.JSON, stdout)
}
