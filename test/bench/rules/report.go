package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// report prints what was measured, for people.
func report(out io.Writer, r result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	p("%s, one of %d cores\n\n", r.Go, r.Cores)
	p("rules\tmatch\tevents/s\tns/event\tns/candidate\tallocs\tB/event\t\n")
	one := map[int]float64{} // time with one candidate, by rules
	for _, f := range r.Flow {
		per := ""
		switch f.Matches {
		case 1:
			one[f.Rules] = f.PerEvent
		case 10:
			per = fmt.Sprintf("%.0f", (f.PerEvent-one[f.Rules])/9)
		}
		p("%d\t%d\t%.0f\t%.0f\t%s\t%.0f\t%.0f\t\n", f.Rules, f.Matches, f.PerSecond, f.PerEvent, per, f.Allocations, f.Bytes)
	}
	p("\n")
	if err := w.Flush(); err != nil {
		return err
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	m, win := r.Memory, r.Windows
	p("%d idle rules: %.0f bytes each; read and checked in %.0f ms\n", m.Rules, m.PerRule, ms(m.Load))
	p("%d open windows: %.1f MB, %.0f bytes each; ns for an event that opens one %.0f, meets it %.0f, completes it %.0f\n",
		win.Windows, float64(win.Bytes)/1e6, win.PerWindow, win.Open, win.Meet, win.Close)
	p("all of them written down: %.1f MB in %.0f ms, read back in %.0f ms\n\n", float64(win.Snapshot)/1e6, ms(win.Write), ms(win.Read))
	if r.Peer != nil {
		reportPeer(w, *r.Peer)
	}
	p("target\tmeasured\tbound\t\t\n")
	for _, t := range r.Targets {
		sign, met := ">=", "met"
		if t.AtMost {
			sign = "<="
		}
		if !t.Met {
			met = "MISSED"
		}
		p("%s\t%s %s\t%s %s\t%s\t\n", t.What, short(t.Figure), t.Unit, sign, short(t.Bound), met)
	}
	return w.Flush()
}

func short(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.0f", f)
}
