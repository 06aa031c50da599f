//go:build linux || darwin

package faults_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// Promises 3, 5, 6 and fault 27: random operations by many clients, who join, leave, send,
// edit, delete, react, are cut off, resume and are slow, against the model that Checker is:
// whoever is in a room gets every event of it once and in order, from the position
// it was given to the end, and shows in the end what the store holds. Each round
// has other options and other weights.
func TestRandomOperationsAgreeWithTheModel(t *testing.T) {
	total := int64(0)
	rounds, ops := either(3, 25), either(200, 4000) // by each of 10 clients
	for range rounds {
		w := newWorld(t, either(time.Minute, 10*time.Minute))
		store := faults.Wrap(chatroom.NewMemoryStore())
		opts := freely().Options(store)
		opts.StoreFirst = w.rng.IntN(3) == 0
		if w.rng.IntN(4) == 0 {
			opts.Ack = chatroom.AckAccepted
		}
		if w.rng.IntN(2) == 0 { // resumes that are refused, or come from the store
			opts.Limits.ResumeEvents = 20 + w.rng.IntN(200)
		}
		if w.rng.IntN(2) == 0 {
			opts.Limits.QueueEvents = 10 + w.rng.IntN(100)
		}
		if w.rng.IntN(2) == 0 {
			opts.Limits.LagBytes = 64 << 10
		}
		if w.rng.IntN(3) == 0 {
			store.Set(faults.OneIn(w.seed, 50, faults.Outcome{Commit: faults.ErrInjected}, "Append"))
		}
		srv := w.serve(opts)
		load := faults.Mixed("one", "two", "three")
		load.Ops = ops
		load.Size = 20 << w.rng.IntN(6)
		load.Drop, load.Leave, load.Fresh = w.rng.IntN(4), w.rng.IntN(10), w.rng.IntN(5)
		load.Pause, load.PauseMost = w.rng.IntN(2), 30*time.Millisecond
		var done atomic.Int64
		for i, c := range w.dial(10, "user") {
			seed := w.seed + uint64(i+1)<<40
			w.work.Go(func() { done.Add(int64(load.Drive(w.working, c, seed))) })
		}
		w.work.Wait()
		w.must(w.Settle(w.ctx))
		w.stored(srv) // what was only accepted
		w.finish(store.Unbroken())
		total += done.Load()
		if done.Load() != int64(10*ops) {
			t.Errorf("only %d operations were done", done.Load())
		}
		t.Logf("%d operations; %d slow clients were closed; StoreFirst %t, Ack %d", done.Load(), srv.Hub.Stats().SlowConsumers, opts.StoreFirst, opts.Ack)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d operations in %d rounds", total, rounds)
}
