//go:build linux || darwin

package faults_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom/internal/faults"
)

// journaled is a server with a journal, whose store is away while the file at away is there.
func journaled(w *world) (cfg faults.Config, away string) {
	cfg = freely()
	cfg.Store = w.path()
	dir := filepath.Dir(cfg.Store)
	cfg.Journal, cfg.StoreAway = filepath.Join(dir, "journal"), filepath.Join(dir, "away")
	return cfg, cfg.StoreAway
}

// leave makes the store be away; empty brings it back.
func (w *world) leave(away, how string) {
	w.t.Helper()
	if how == "" {
		w.must(os.RemoveAll(away))
		return
	}
	// In one step: a half-written file says nothing.
	w.must(os.WriteFile(away+".new", []byte(how), 0o600))
	w.must(os.Rename(away+".new", away))
}

// Promise 2 with a journal: a server is killed again and again while its store is away or comes and
// goes, and again while it replays what it had acknowledged. In the end the store has
// all of that, once and in order, and every client has seen all of it.
func TestKilledServerLosesNothingItJournaled(t *testing.T) {
	beside(t)
	w := newWorld(t, either(time.Minute, 20*time.Minute))
	cfg, away := journaled(w)
	child := w.child(cfg)
	w.drive(faults.Mixed("one", "two", "three"), w.dial(8, "user")...)
	kills, inReplay, most := either(6, 100), 0, 0
	for kill := range kills {
		// Everything is well for a while, or not even that. Only the store knows whether what is sent
		// again has arrived: who waits for that has nothing acknowledged without it.
		for _, c := range w.clients {
			w.must(c.Recovered(w.ctx))
		}
		w.acks(w.rng.IntN(100))
		how := []string{faults.AwayFails, faults.AwayHangs, faults.AwayGone}[(kill+int(w.seed%3))%3]
		w.leave(away, how)
		journaledBefore := w.Counts().Journaled
		want := 50 + w.rng.IntN(either(300, 3000))
		w.await("acks without a store", func() bool { return w.Counts().Journaled >= journaledBefore+want })
		if w.rng.IntN(3) == 0 { // the store comes back, and something of it gets there
			w.leave(away, "")
			w.acks(w.rng.IntN(100))
		}
		w.pause(3 * time.Millisecond)
		f, err := child.Figures()
		w.must(err)
		most = max(most, f.Stats.QueueEvents)
		child.Kill()
		child = w.child(cfg)
		if w.rng.IntN(2) == 0 { // once more, in the middle of the replay or before it
			w.leave(away, []string{"", how}[w.rng.IntN(2)])
			w.pause(40 * time.Millisecond)
			child.Kill()
			inReplay++
			child = w.child(cfg)
		}
		w.leave(away, "")
	}
	w.acks(100)
	w.quiet()
	w.end(child)
	w.verify(w.sqlite(cfg.Store))
	n := w.Counts()
	t.Logf("%d kills, %d more soon after a start; up to %d events in the journal alone", kills, inReplay, most)
	if n.Resumed+n.Lowered == 0 || n.Journaled < kills*50 || n.Unstored > 0 {
		t.Errorf("%v", n)
	}
}

// A store that is away for a whole life and the next ones: what every one of them
// acknowledged, which only the first can, is there when it comes back.
func TestJournalOutlivesStartsWithoutAStore(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	cfg, away := journaled(w)
	w.leave(away, faults.AwayFails)
	child := w.child(cfg)
	w.drive(faults.Mixed("one", "two"), w.dial(4, "user")...)
	w.acks(either(300, 5000))
	for range either(2, 20) {
		child.Kill()
		child = w.child(cfg)
		w.await("the rooms being closed", func() bool { return w.Refusals()["store_unavailable"] > 0 })
		w.pause(20 * time.Millisecond)
	}
	f, err := child.Figures()
	w.must(err)
	if f.Stats.Stored != 0 {
		t.Errorf("stored: %+v", f.Stats)
	}
	w.leave(away, "")
	w.acks(100)
	w.quiet()
	_, err = child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
}

// A journal at its limit while the store is away: senders are told overloaded, nothing that was
// acknowledged goes, not even with a kill then, and all goes on when the store is back.
func TestFullJournalSaysOverloadedAndHeals(t *testing.T) {
	beside(t)
	w := newWorld(t, either(time.Minute, 10*time.Minute))
	cfg, away := journaled(w)
	cfg.Limits.JournalBytes = 1 << 20
	child := w.child(cfg)
	load := faults.Mixed("one", "two")
	load.Size = 3800
	w.drive(load, w.dial(6, "user")...)
	acked := 0
	for range either(2, 10) {
		w.acks(20)
		w.leave(away, faults.AwayFails)
		told := w.Refusals()["overloaded"]
		w.await("a full journal", func() bool { return w.Refusals()["overloaded"] > told+20 })
		acked = w.Counts().Journaled
		f, err := child.Figures()
		w.must(err)
		if f.Stats.JournalErrors > 0 || f.Stats.QueueBytes > cfg.Limits.JournalBytes {
			t.Errorf("%+v", f.Stats)
		}
		child.Kill()
		child = w.child(cfg)
		w.leave(away, "")
	}
	w.acks(300)
	w.quiet()
	_, err := child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
	if acked == 0 {
		t.Error("nothing was journaled")
	}
}
