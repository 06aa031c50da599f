//go:build linux || darwin

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// faulty serves a hub on a memory store behind a faults.Store.
func faulty(t *testing.T, opts func(*chatroom.Options)) (*world, *faults.Store, *faults.Server) {
	w := newWorld(t, either(time.Minute, 5*time.Minute))
	store := faults.Wrap(chatroom.NewMemoryStore())
	o := freely().Options(store)
	if opts != nil {
		opts(&o)
	}
	return w, store, w.serve(o)
}

// Fault 9: with 200 ms a commit batches grow and nothing is lost; when the queue
// is full senders are told overloaded, and the queue stays within its limit.
func TestSlowStoreMakesBiggerBatchesAndThenSaysOverloaded(t *testing.T) {
	const queue = 300
	w, store, srv := faulty(t, func(o *chatroom.Options) { o.Limits.QueueEvents = queue })
	store.Set(faults.Slow(200 * time.Millisecond))
	load := faults.Talk("lobby")
	load.Outstanding = 100
	clients := w.dial(5, "user")
	w.drive(load, clients...)
	most := 0
	w.await("a refusal", func() bool {
		most = max(most, srv.Hub.Stats().QueueEvents)
		return w.Refusals()["overloaded"] > 0 && store.Largest() > 100
	})
	w.rest()
	store.Set(nil)
	w.finish(store)
	t.Logf("biggest batch %d events, the queue never above %d", store.Largest(), most)
	if most > queue {
		t.Errorf("the queue held %d events, its limit is %d", most, queue)
	}
}

// Fault 10: a store that hangs: reads and sends fail loudly, talk goes on until
// the queue is full, and all recovers without a restart.
func TestHungStoreFailsLoudlyWhileTalkGoesOnAndRecovers(t *testing.T) {
	w, store, srv := faulty(t, func(o *chatroom.Options) {
		o.Limits.QueueEvents = 50
		o.Limits.StoreTimeout = 100 * time.Millisecond
	})
	clients := w.dial(2, "user")
	ann, bob := clients[0], clients[1]
	for _, c := range clients {
		c.Join("lobby", false)
		w.must(c.Joined(w.ctx, "lobby"))
	}
	_, err := ann.Send("lobby", 0).Wait(w.ctx)
	w.must(err)
	release := make(chan struct{})
	store.Set(faults.Hung(release, true))
	var pending []*faults.Pending
	for range 60 {
		pending = append(pending, ann.Send("lobby", 0))
	}
	// bob sees what the queue took, though nothing is stored.
	w.await("live messages", func() bool { return len(bob.Messages("lobby")) >= 51 })
	w.await("overloaded", func() bool { return w.Refusals()["overloaded"] > 0 })
	w.await("store_unavailable", func() bool { return w.Refusals()["store_unavailable"] > 0 })
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	if _, err := srv.Hub.Room("lobby").History(ctx, chatroom.Page{}); !errors.Is(err, chatroom.ErrStoreUnavailable) {
		t.Errorf("history of a hung store; %v", err)
	}
	close(release)
	store.Set(nil)
	for _, p := range pending {
		if f, err := p.Wait(w.ctx); err != nil || f.Error != nil {
			t.Fatalf("after the store came back: %+v, %v", f.Error, err)
		}
	}
	w.finish(store)
	if !srv.Hub.Stats().Healthy {
		t.Error("the hub still thinks its store is ill")
	}
}

// Fault 11: every third call of the store fails, of each kind; nothing is lost.
func TestStoreThatFailsOftenLosesNothing(t *testing.T) {
	beside(t)
	w, store, srv := faulty(t, nil)
	failure := faults.Outcome{Err: faults.ErrInjected}
	store.Set(faults.OneIn(w.seed, 3, failure, "Append", "Messages", "Events", "LastSeq", "FindKey", "Unread"))
	load := faults.Mixed("one", "two")
	load.Drop, load.Fresh = 2, 1
	w.drive(load, w.dial(6, "user")...)
	w.acks(either(500, 20_000))
	w.finish(store.Unbroken())
	if s := srv.Hub.Stats(); s.StoreErrors == 0 {
		t.Errorf("no store error: %+v", s)
	}
}

// Fault 11: a panic in the store is a failure like any other.
func TestStoreThatPanicsLosesNothing(t *testing.T) {
	beside(t)
	w, store, _ := faulty(t, nil)
	store.Set(faults.OneIn(w.seed, 5, faults.Outcome{Panic: "injected"}, "Append", "Messages", "Events", "LastSeq"))
	load := faults.Mixed("one", "two")
	load.Drop = 2
	w.drive(load, w.dial(4, "user")...)
	w.acks(either(300, 5000))
	w.finish(store.Unbroken())
}

// Fault 12: a commit that is reported as failed makes no duplicate.
func TestCommitReportedAsFailureMakesNoDuplicate(t *testing.T) {
	beside(t)
	for _, kind := range []string{"memory", "sqlite"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, time.Minute)
			var inner faults.FullStore = chatroom.NewMemoryStore()
			if kind == "sqlite" {
				inner = w.sqlite(w.path())
			}
			store := faults.Wrap(inner)
			w.serve(freely().Options(store))
			store.Set(faults.OneIn(w.seed, 4, faults.Outcome{Commit: faults.ErrInjected}, "Append"))
			load := faults.Mixed("one", "two")
			load.Drop = 2
			w.drive(load, w.dial(4, "user")...)
			w.acks(either(200, 5000))
			w.finish(store.Unbroken())
		})
	}
}

// Fault 13: in a batch with poison only the poison fails, and members are told to forget it.
func TestPoisonEventFailsAloneAndIsRetracted(t *testing.T) {
	beside(t)
	var dead atomic.Int64
	w, store, srv := faulty(t, func(o *chatroom.Options) {
		o.DeadLetter = func(chatroom.Event, error) { dead.Add(1) }
	})
	poison := func(e chatroom.Event) bool {
		return e.Type == chatroom.EventMessage && strings.HasSuffix(e.Key, "7") || e.Type == chatroom.EventReact && e.Emoji == "🎉"
	}
	store.Set(faults.First(faults.Refusing(poison), faults.Slow(2*time.Millisecond)))
	w.drive(faults.Mixed("one", "two"), w.dial(6, "user")...)
	w.acks(either(1000, 20_000))
	w.quiet()
	w.stored(srv) // the retracts, which nobody waits for
	w.verify(store.Unbroken())
	n, s := w.Counts(), srv.Hub.Stats()
	t.Logf("%d dead letters, biggest batch %d", dead.Load(), store.Largest())
	if n.Failed == 0 || n.Retracted == 0 || dead.Load() != s.DeadLetters || w.Refusals()["store_failed"] != n.Failed {
		t.Errorf("%v, %d dead letters, %+v", n, dead.Load(), s)
	}
}

// Fault 13: a store that refuses everything, the retracts as well, does not keep the hub busy for ever.
func TestStoreThatRefusesEverythingEndsInRest(t *testing.T) {
	w, store, srv := faulty(t, nil)
	store.Set(faults.Refusing(func(chatroom.Event) bool { return true }))
	c := w.dial(1, "ann")[0]
	c.Join("lobby", false)
	for range 20 {
		f, err := c.Send("lobby", 0).Wait(w.ctx)
		w.must(err)
		if f.Error == nil || f.Error.Code != "store_failed" {
			t.Fatalf("%+v", f)
		}
	}
	w.stored(srv)
	if s := srv.Hub.Stats(); s.DeadLetters > 40 {
		t.Errorf("20 messages and their retracts make at most 40 dead letters: %+v", s)
	}
}

// Fault 20: when the queue is full no read loop blocks: pings are answered at once.
func TestFullQueueBlocksNoReadLoop(t *testing.T) {
	w, store, srv := faulty(t, func(o *chatroom.Options) { o.Limits.QueueEvents = 20 })
	release := make(chan struct{})
	store.Set(faults.Hung(release, false))
	load := faults.Talk("lobby")
	load.Outstanding = 30
	w.drive(load, w.dial(4, "user")...)
	w.await("a full queue", func() bool { return srv.Hub.Stats().QueueEvents == 20 && w.Refusals()["overloaded"] > 10 })
	quiet := w.dial(1, "quiet")[0]
	quiet.Join("lobby", false)
	w.must(quiet.Joined(w.ctx, "lobby"))
	worst := time.Duration(0)
	for range 100 {
		began := time.Now()
		if f, err := quiet.Change("ping", "lobby", "").Wait(w.ctx); err != nil || !f.OK {
			t.Fatalf("ping: %+v, %v", f, err)
		}
		worst = max(worst, time.Since(began))
	}
	t.Logf("slowest of 100 pings; %v", worst)
	if worst > 2*time.Second {
		t.Errorf("a ping took %v", worst)
	}
	w.rest()
	close(release)
	store.Set(nil)
	w.finish(store)
}

// A room that cannot be loaded says so, and can be used once the store is back.
func TestRoomThatCannotBeLoadedCanBeUsedLater(t *testing.T) {
	w, store, srv := faulty(t, nil)
	store.Set(faults.OneIn(w.seed, 1, faults.Outcome{Err: fmt.Errorf("no route: %w", faults.ErrInjected)}, "LastSeq"))
	if _, err := srv.Hub.Room("lobby").LastSeq(w.ctx); !errors.Is(err, chatroom.ErrStoreUnavailable) {
		t.Errorf("loading a room from a store that fails; %v", err)
	}
	store.Set(nil)
	if _, err := srv.Hub.Room("lobby").LastSeq(w.ctx); err != nil {
		t.Errorf("after the store came back; %v", err)
	}
}
