//go:build linux || darwin

package faults_test

import (
	"testing"
	"time"

	"github.com/chatroom-go/chatroom/internal/faults"
)

// Fault 35: 10 minutes of talk with churn, cuts and reconnects: the server's memory,
// goroutines and descriptors are flat. The short variant looks at goroutines and descriptors only.
func TestSoakLeavesMemoryGoroutinesAndDescriptorsFlat(t *testing.T) {
	length := either(2*time.Second, 10*time.Minute)
	w := newWorld(t, length+2*time.Minute)
	cfg := freely()
	cfg.Store = w.path()
	child := w.child(cfg)
	load := faults.Mixed("one", "two", "three", "four")
	load.Every = 20 * time.Millisecond
	load.Drop, load.Leave, load.Fresh, load.Pause, load.PauseMost = 2, 2, 2, 1, 300*time.Millisecond
	clients := w.dial(20, "user")
	w.drive(load, clients...)

	var figures []faults.Figures
	tick := time.NewTicker(length / 20)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		f, err := child.Figures()
		w.must(err)
		figures = append(figures, f)
		t.Logf("%5.1f MB heap, %5.1f MB resident, %d goroutines, %d descriptors, %d connections, %d events", float64(f.Heap)/1e6, float64(f.Resident)/1e6, f.Goroutines, f.Files, f.Stats.Connections, f.Stats.Accepted)
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
