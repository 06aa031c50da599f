//go:build linux || darwin

package faults_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom/internal/faults"
)

var (
	soakFor     = flag.Duration("soak", 10*time.Minute, "length of the soak with -long")
	soakClients = flag.Int("soakclients", 20, "clients of the soak: as many as bring the machine to the load that is wanted")
)

// machineLoad tells which part of the time since the last call the machine's cores were
// busy, 0 where that cannot be read.
func machineLoad() func() float64 {
	var busy, all float64
	return func() float64 {
		stat, _ := os.ReadFile("/proc/stat")
		first, _, _ := bytes.Cut(stat, []byte("\n"))
		var t [8]float64 // user, nice, system, idle, iowait, irq, softirq, steal
		if _, err := fmt.Sscanf(string(first), "cpu %f %f %f %f %f %f %f %f", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
			return 0
		}
		busyBefore, allBefore := busy, all
		busy = t[0] + t[1] + t[2] + t[5] + t[6] + t[7]
		all = busy + t[3] + t[4]
		return (busy - busyBefore) / max(all-allBefore, 1)
	}
}

// Fault 35: 10 minutes of talk with churn, cuts and reconnects: the server's memory,
// goroutines and descriptors are flat. The short variant looks at goroutines and descriptors only.
func TestSoakLeavesMemoryGoroutinesAndDescriptorsFlat(t *testing.T) {
	length := either(2*time.Second, *soakFor)
	w := newWorld(t, length+2*time.Minute)
	cfg := freely()
	cfg.Store = w.path()
	child := w.child(cfg)
	load := faults.Mixed("one", "two", "three", "four")
	load.Every = 20 * time.Millisecond
	load.Drop, load.Leave, load.Fresh, load.Pause, load.PauseMost = 2, 2, 2, 1, 300*time.Millisecond
	clients := w.dial(*soakClients, "user")
	w.drive(load, clients...)

	var figures []faults.Figures
	busy := machineLoad()
	busy()
	tick := time.NewTicker(length / 20)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		f, err := child.Figures()
		w.must(err)
		figures = append(figures, f)
		t.Logf("machine %2.0f %% busy, %5.1f MB heap, %5.1f MB resident, %d goroutines, %d descriptors, %d connections, %d events", 100*busy(), float64(f.Heap)/1e6, float64(f.Resident)/1e6, f.Goroutines, f.Files, f.Stats.Connections, f.Stats.Accepted)
	}
	w.quiet()
	w.await("everybody's leaving", func() bool {
		f, err := child.Figures()
		w.must(err)
		return f.Stats.Connections == 0
	})
	end, err := child.Figures()
	w.must(err)
	_, err = child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
	t.Logf("at rest: %.1f MB heap, %d goroutines, %d descriptors", float64(end.Heap)/1e6, end.Goroutines, end.Files)

	mean := func(part []faults.Figures, of func(faults.Figures) int) int {
		sum := 0
		for _, f := range part {
			sum += of(f)
		}
		return sum / len(part)
	}
	for _, figure := range []struct {
		name  string
		of    func(faults.Figures) int
		slack int // in addition to a tenth
		long  bool
	}{
		{"heap", func(f faults.Figures) int { return int(f.Heap) }, 2 << 20, true},
		// SQLite's page caches fill up as the file grows: the writer's 32 MiB and 2 MiB for each of four readers.
		{"resident memory", func(f faults.Figures) int { return int(f.Resident) }, 40 << 20, true},
		{"goroutines", func(f faults.Figures) int { return f.Goroutines }, 20, false},
		{"descriptors", func(f faults.Figures) int { return f.Files }, 10, false},
	} {
		early, late := mean(figures[5:10], figure.of), mean(figures[15:], figure.of)
		if (*long || !figure.long) && late > early+early/10+figure.slack {
			t.Errorf("%s grew from %d to %d", figure.name, early, late)
		}
	}
}
