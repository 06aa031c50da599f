//go:build linux || darwin

package faults_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// Fault 1: a server killed at random moments under load loses nothing that it
// acknowledged, stores nothing twice, and its clients resume.
func TestKilledServerLosesNothingItAcknowledged(t *testing.T) {
	beside(t)
	w, path, kills := killing(t, faults.Config{}, either(6, 300))
	w.verify(w.sqlite(path))
	n := w.Counts()
	t.Logf("%d kills", kills)
	if n.Resumed+n.Lowered == 0 { // all lowered when each had seen more than was stored
		t.Errorf("no client resumed; %v", n)
	}
}

// Fault 2: with AckAccepted a killed server loses at most what its queue held.
func TestKilledServerThatAcksAtOnceLosesAtMostItsQueue(t *testing.T) {
	beside(t)
	const queue = 200
	cfg := faults.Config{AckAccepted: true, StoreDelay: 5 * time.Millisecond}
	cfg.Limits.QueueEvents = queue
	w, path, kills := killing(t, cfg, either(4, 30))
	store := w.sqlite(path)
	lost, err := w.Lost(w.ctx, store)
	w.must(err)
	w.verify(store)
	t.Logf("%d kills, %d acknowledged at acceptance and lost, at most %d may be", kills, lost, kills*queue)
	if lost > kills*queue {
		t.Errorf("lost %d messages in %d kills", lost, kills)
	}
	if lost == 0 {
		t.Error("nothing was lost: the kills came when nothing was waiting, and prove nothing")
	}
}

// Fault 1 with StoreFirst: members never see what a crash takes back.
func TestKilledServerThatStoresFirstShowsNothingItLoses(t *testing.T) {
	beside(t)
	w, path, _ := killing(t, faults.Config{StoreFirst: true}, either(4, 30))
	w.verify(w.sqlite(path))
	if n := w.Counts(); n.Lowered > 0 {
		t.Errorf("%d clients were told to forget something", n.Lowered)
	}
}

// killing has clients talk to a child server that is killed again and again at
// random moments, and returns when all is quiet and the last child is gone.
func killing(t *testing.T, cfg faults.Config, kills int) (w *world, path string, killed int) {
	w = newWorld(t, either(time.Minute, 10*time.Minute))
	path = w.path()
	limits := faults.Free()
	limits.QueueEvents = cfg.Limits.QueueEvents
	cfg.Store, cfg.Limits = path, limits
	child := w.child(cfg)
	clients := w.dial(8, "user")
	w.drive(faults.Mixed("one", "two", "three"), clients...)
	for range kills {
		w.acks(1 + w.rng.IntN(300))
		w.pause(3 * time.Millisecond)
		child.Kill()
		child = w.child(cfg)
	}
	w.acks(100)
	w.quiet()
	w.end(child)
	return w, path, kills
}

// Fault 23: the connection is cut at each byte of the ack; the client sends again
// and the message is there once.
func TestConnectionCutAtEachByteOfTheAck(t *testing.T) {
	w := newWorld(t, time.Minute)
	store := chatroom.NewMemoryStore()
	srv := w.serve(freely().Options(store))
	proxy, err := faults.NewProxy(srv.Addr)
	w.must(err)
	defer proxy.Close()
	w.at(proxy.Addr())
	c := w.dial(1, "ann")[0]
	c.Join("lobby", false)
	cuts := 0
	for n := int64(1); ; n++ {
		w.must(c.Joined(w.ctx, "lobby"))
		before, _ := c.Sessions()
		// Presence may come at any time within these bytes; then this round cuts elsewhere.
		proxy.CutAfter(n)
		p := c.Send("lobby", 0)
		f, err := p.Wait(w.ctx)
		w.must(err)
		if f.Error != nil {
			t.Fatalf("cut after byte %d: %+v", n, f.Error)
		}
		if after, _ := c.Sessions(); after != before {
			cuts++
		}
		// Ack and event are about 60 and 170 bytes.
		if n > 260 {
			break
		}
	}
	proxy.CutAfter(1 << 40)
	w.finish(store)
	n := w.Counts()
	t.Logf("%d cuts", cuts)
	if n.Duplicates == 0 || n.Resumed == 0 {
		t.Errorf("no ack was lost; %v", n)
	}
}

// Fault 26: the same key on two connections at once is one message.
func TestSameKeyOnTwoConnectionsAtOnceIsOneMessage(t *testing.T) {
	w := newWorld(t, time.Minute)
	store := w.sqlite(w.path())
	w.serve(freely().Options(store))
	user := func(int) *faults.Client {
		c := w.dial(1, "ann")[0] // both are ann1
		c.Join("lobby", false)
		w.must(c.Joined(w.ctx, "lobby"))
		return c
	}
	pair := []*faults.Client{user(0), user(1)}
	duplicates := 0
	for round := range either(300, 1000) {
		key := fmt.Sprintf("key-%d", round)
		text := faults.Text(key, 0)
		var replies [2]faults.Frame
		var both sync.WaitGroup
		for i, c := range pair {
			both.Go(func() {
				f, err := c.SendAs("lobby", key, text).Wait(w.ctx)
				if err != nil || f.Error != nil {
					t.Errorf("round %d: %+v, %v", round, f.Error, err)
				}
				replies[i] = f
			})
		}
		both.Wait()
		if replies[0].Seq != replies[1].Seq || replies[0].Duplicate == replies[1].Duplicate {
			t.Fatalf("round %d: %+v and %+v", round, replies[0], replies[1])
		}
		duplicates++
	}
	w.finish(store)
	if n := w.Counts(); n.Duplicates != duplicates {
		t.Errorf("%d rounds; %v", duplicates, n)
	}
}
