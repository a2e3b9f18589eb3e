package main

import (
	"fmt"
	"slices"
	"time"
)

// warmCell is what jobs over kept connections took, on a number of hosts at a distance.
type warmCell struct {
	Hosts int           `json:"hosts"`
	RTT   time.Duration `json:"rtt_ns"`
	// Cold is the job that connected, Warm are those after it. None changes anything.
	Cold jobSample   `json:"cold"`
	Warm []jobSample `json:"warm"`
}

// jobSample is one job.
type jobSample struct {
	sample
	Tasks []taskTime `json:"tasks"`
}

// taskTime is how long a task took on the host where it took longest.
type taskTime struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"s"`
}

// took notes a task's time on one more host.
func (j *jobSample) took(name string, d time.Duration) {
	i := slices.IndexFunc(j.Tasks, func(t taskTime) bool { return t.Name == name })
	if i < 0 {
		i = len(j.Tasks)
		j.Tasks = append(j.Tasks, taskTime{Name: name})
	}
	j.Tasks[i].Seconds = max(j.Tasks[i].Seconds, d.Seconds())
}

// warm are the medians of the warm jobs.
func (c *warmCell) warm() sample {
	list := make([]sample, len(c.Warm))
	for i, j := range c.Warm {
		list[i] = j.sample
	}
	return figures(list)
}

// task is the median time of a task in the warm jobs.
func (c *warmCell) task(i int) float64 {
	var v []float64
	for _, j := range c.Warm {
		if i < len(j.Tasks) {
			v = append(v, j.Tasks[i].Seconds)
		}
	}
	return median(v)
}

// warmRows say what jobs took over connections that were open.
func (r report) warmRows(t *table) {
	t.row("")
	t.row("RTT ms\thosts\tcold s\tCPU s\twarm s\tCPU s\tMiB\tcold/warm\tRTTs at most\tRTTs\truns")
	near := map[int]*warmCell{}
	for _, c := range r.Warm {
		warm, atMost, slope := c.warm(), "", ""
		if near[c.Hosts] == nil {
			near[c.Hosts] = c
		}
		if c.RTT > 0 {
			atMost = fmt.Sprintf("%.1f", warm.Wall/c.RTT.Seconds())
		}
		if n := near[c.Hosts]; n != c {
			slope = fmt.Sprintf("%.1f", roundTrips(n.warm().Wall, warm.Wall, n.RTT, c.RTT))
		}
		t.row("%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\t%s\t%s\t%s\t%d", c.RTT.Milliseconds(), c.Hosts, c.Cold.Wall, c.Cold.CPU,
			warm.Wall, warm.CPU, warm.Memory, ratio(c.Cold.Wall, warm.Wall), atMost, slope, len(c.Warm))
	}
	for _, c := range r.Warm {
		if far := r.Settings.RTTs; c.RTT == far[len(far)-1] && c.Hosts == r.Settings.Hosts[0] {
			c.taskRows(t)
		}
	}
}

// taskRows say where the time goes.
func (c *warmCell) taskRows(t *table) {
	t.row("")
	t.row("%d hosts, %d ms: task\tcold ms\twarm ms", c.Hosts, c.RTT.Milliseconds())
	for i, task := range c.Cold.Tasks {
		t.row("  %s\t%.0f\t%.0f", task.Name, task.Seconds*1000, c.task(i)*1000)
	}
}
