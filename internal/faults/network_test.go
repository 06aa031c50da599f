//go:build linux || darwin

package faults_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// through puts a proxy before the server.
func (w *world) through(srv *faults.Server) *faults.Proxy {
	w.t.Helper()
	p, err := faults.NewProxy(srv.Addr)
	w.must(err)
	w.t.Cleanup(p.Close)
	w.at(p.Addr())
	return p
}

// Promises 3 to 6 on a network that delays, trickles, swallows, cuts and resets.
func TestBadNetworkLosesNothing(t *testing.T) {
	w := newWorld(t, either(time.Minute, 10*time.Minute))
	store := chatroom.NewMemoryStore()
	srv := w.serve(freely().Options(store))
	proxy := w.through(srv)
	load := faults.Mixed("one", "two", "three")
	load.Leave, load.Fresh = 2, 1
	w.drive(load, w.dial(10, "user")...)
	for range either(40, 1000) {
		w.acks(1 + w.rng.IntN(30))
		switch w.rng.IntN(6) {
		case 0:
			proxy.CutAll()
		case 1:
			proxy.ResetAll()
		case 2:
			proxy.CutAfter(int64(w.rng.IntN(20_000)))
		case 3:
			proxy.Delay.Store(int64(w.rng.IntN(int(5 * time.Millisecond))))
		case 4:
			proxy.Rate.Store(int64(20_000 + w.rng.IntN(200_000)))
		case 5:
			proxy.BlackHole.Store(true)
			moment := time.NewTimer(time.Duration(w.rng.IntN(int(20 * time.Millisecond))))
			<-moment.C
			proxy.ResetAll() // with what was swallowed the streams are broken
			proxy.BlackHole.Store(false)
		}
		if w.rng.IntN(3) == 0 {
			proxy.Delay.Store(0)
			proxy.Rate.Store(0)
		}
	}
	proxy.Delay.Store(0)
	proxy.Rate.Store(0)
	w.at(srv.Addr()) // for the questions of finish
	proxy.CutAll()
	w.finish(store)
	if n := w.Counts(); n.Resumed == 0 || n.Duplicates == 0 {
		t.Errorf("too little happened; %v", n)
	}
}

// Fault 21: a peer that vanished is dropped by the heartbeat and leaves the room.
func TestHalfOpenClientIsDropped(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	opts := freely().Options(chatroom.NewMemoryStore())
	opts.Limits.Heartbeat = time.Second
	opts.Limits.PresenceGrace = 100 * time.Millisecond
	srv := w.serve(opts)
	stays := w.dial(1, "stays")[0]
	stays.Join("lobby", false)
	w.must(stays.Joined(w.ctx, "lobby"))
	proxy := w.through(srv)
	gone := w.dial(1, "gone")[0]
	gone.Join("lobby", false)
	w.must(gone.Joined(w.ctx, "lobby"))
	gone.Pause(true) // or it would answer pings
	proxy.BlackHole.Store(true)
	began := time.Now()
	w.await("the departure", func() bool { return len(srv.Hub.Room("lobby").Members()) == 1 })
	t.Logf("gone after %v with a heartbeat of 1 s (and 10 s to answer)", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 16*time.Second {
		t.Errorf("took %v", took)
	}
}

// Fault 22: a member that reads 1 KB/s in a room of 100 is closed alone, heals by
// resume, and the others' p99 does not change.
func TestSlowReaderDisturbsNobodyAndHeals(t *testing.T) {
	w := newWorld(t, either(time.Minute, 3*time.Minute))
	store := chatroom.NewMemoryStore()
	opts := freely().Options(store)
	opts.Limits.LagBytes = 64 << 10
	opts.Limits.ResumeBytes = 16 << 20 // what it missed comes as events
	opts.Limits.ResumeEvents = 10_000
	srv := w.serve(opts)
	var mu sync.Mutex
	var published time.Time
	var samples []time.Duration
	members := w.dial(either(10, 99), "user")
	for _, c := range members {
		c.Join("lobby", false)
		w.must(c.Joined(w.ctx, "lobby"))
		c.OnEvent(func(*faults.Frame) {
			mu.Lock()
			samples = append(samples, time.Since(published))
			mu.Unlock()
		})
	}
	proxy := w.through(srv)
	slow := w.dial(1, "slow")[0]
	slow.Join("lobby", false)
	w.must(slow.Joined(w.ctx, "lobby"))
	round := 0
	send := func() chatroom.Seq {
		round++
		key := fmt.Sprintf("round-%d", round)
		mu.Lock()
		published = time.Now()
		mu.Unlock()
		f, err := members[0].SendAs("lobby", key, faults.Text(key, 3900)).Wait(w.ctx)
		w.must(err)
		if f.Error != nil {
			t.Fatalf("%+v", f.Error)
		}
		return f.Seq
	}
	// publish measures single messages, each after a burst that is not measured.
	publish := func(burst int, until func() bool) (p50, p99 time.Duration) {
		samples = nil
		for n := 0; n < 100 || !until(); n++ {
			var last chatroom.Seq
			for range burst {
				last = send()
			}
			for _, c := range members {
				w.must(c.Reached(w.ctx, "lobby", last))
			}
			mu.Lock()
			kept := len(samples)
			mu.Unlock()
			last = send()
			for _, c := range members {
				w.must(c.Reached(w.ctx, "lobby", last))
			}
			mu.Lock()
			samples = append(samples[:kept-burst*len(members)], samples[kept:]...)
			mu.Unlock()
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(samples)
		return samples[len(samples)/2], samples[len(samples)*99/100]
	}
	_, before := publish(5, func() bool { return true })
	w.must(slow.Reached(w.ctx, "lobby", 1))
	proxy.Rate.Store(1024)
	median, during := publish(5, func() bool { return srv.Hub.Stats().SlowConsumers > 0 })
	proxy.Rate.Store(0)
	t.Logf("p99 %v with all fast, p50 %v and p99 %v with a slow one; closed after %d messages of 4 KB", before, median, during, round-600)
	if during > 3*before+20*time.Millisecond {
		t.Errorf("the others' p99 went from %v to %v", before, during)
	}
	if s := srv.Hub.Stats(); s.SlowConsumers != 1 {
		t.Errorf("%d connections were closed as slow", s.SlowConsumers)
	}
	w.at(srv.Addr())
	proxy.CutAll()
	w.finish(store)
	if n := w.Counts(); n.Resumed == 0 {
		t.Errorf("it did not resume; %v", n)
	}
}

// Fault 24: all clients of a hub reconnect at once; resuming costs no store read.
func TestReconnectStormReadsNothingFromTheStore(t *testing.T) {
	w := newWorld(t, 3*time.Minute)
	store := faults.Wrap(chatroom.NewMemoryStore())
	srv := w.serve(freely().Options(store))
	clients := w.dial(either(500, 5000), "user")
	for _, c := range clients {
		c.Join("lobby", false)
	}
	for _, c := range clients {
		w.must(c.Joined(w.ctx, "lobby"))
	}
	_, err := clients[0].Send("lobby", 100).Wait(w.ctx)
	w.must(err)
	w.must(w.reachEnd(srv, clients))
	reads := store.Count("Events") + store.Count("Messages")
	for _, c := range clients {
		c.Offline(true)
	}
	w.await("everybody's leaving", func() bool { return srv.Hub.Stats().Connections == 0 })
	for range 20 { // what they miss
		_, err := srv.Hub.Room("lobby").Send(w.ctx, chatroom.Draft{From: chatroom.User{ID: "host"}, Text: faults.Text("news", 200)})
		w.must(err)
	}
	began := time.Now()
	for _, c := range clients {
		c.Offline(false)
	}
	w.must(w.reachEnd(srv, clients))
	t.Logf("%d clients were back and had caught up after %v", len(clients), time.Since(began).Round(time.Millisecond))
	if more := store.Count("Events") + store.Count("Messages") - reads; more != 0 {
		t.Errorf("%d store reads", more)
	}
	w.finish(store)
	if n := w.Counts(); n.Resumed != len(clients) {
		t.Errorf("not all resumed; %v", n)
	}
}

// Fault 25: everybody in a hot room resumes from beyond what it keeps in memory: without a gap,
// for one store read.
func TestResumeStormCostsOneStoreRead(t *testing.T) {
	w := newWorld(t, 3*time.Minute)
	store := faults.Wrap(chatroom.NewMemoryStore())
	srv := w.serve(freely().Options(store))
	clients := w.dial(either(50, 2000), "user")
	for _, c := range clients {
		c.Join("lobby", false)
	}
	for _, c := range clients {
		w.must(c.Joined(w.ctx, "lobby"))
	}
	_, err := clients[0].Send("lobby", 100).Wait(w.ctx)
	w.must(err)
	w.must(w.reachEnd(srv, clients))
	for _, c := range clients {
		c.Offline(true)
	}
	w.await("everybody's leaving", func() bool { return srv.Hub.Stats().Connections == 0 })
	for range 70 { // 270 KB: the room keeps 64 KiB
		_, err := srv.Hub.Room("lobby").Send(w.ctx, chatroom.Draft{From: chatroom.User{ID: "host"}, Text: faults.Text("news", 3900)})
		w.must(err)
	}
	reads := store.Count("Events") + store.Count("Messages")
	began := time.Now()
	for _, c := range clients {
		c.Offline(false)
	}
	w.must(w.reachEnd(srv, clients))
	more := store.Count("Events") + store.Count("Messages") - reads
	t.Logf("%d clients had caught up with 270 KB after %v; %d store reads", len(clients), time.Since(began).Round(time.Millisecond), more)
	if more > 1 {
		t.Errorf("%d store reads for %d clients", more, len(clients))
	}
	w.finish(store)
}

// reachEnd waits until all clients have seen the end of the lobby.
func (w *world) reachEnd(srv *faults.Server, clients []*faults.Client) error {
	last, err := srv.Hub.Room("lobby").LastSeq(w.ctx)
	for _, c := range clients {
		if err == nil {
			err = c.Reached(w.ctx, "lobby", last)
		}
	}
	return err
}

// Promise 6 under lag: a client that stops reading for 6 MB, more than the kernel's
// buffers take, and goes on before it is cut off, gets all of it, once and in order, on the same connection.
func TestLaggingClientThatCatchesUpMissesNothing(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	store := chatroom.NewMemoryStore()
	opts := freely().Options(store)
	opts.Limits.LagBytes, opts.Limits.LagTime, opts.Limits.WriteTimeout = 64<<20, time.Hour, time.Hour
	srv := w.serve(opts)
	proxy := w.through(srv)
	lagging := w.dial(1, "lagging")[0]
	lagging.Join("lobby", false)
	w.must(lagging.Joined(w.ctx, "lobby"))
	lagging.Pause(true)
	w.at(srv.Addr())
	talker := w.dial(1, "talker")[0]
	load := faults.Talk("lobby")
	load.Size, load.Outstanding, load.Ops = 3900, 50, 3000 // about 2 KB each
	w.drive(load, talker)
	w.work.Wait()
	w.must(talker.Settled(w.ctx))
	passed := proxy.Forwarded.Load()
	lagging.Pause(false)
	_, err := talker.Send("lobby", 0).Wait(w.ctx) // a hole would show by its prev
	w.must(err)
	w.finish(store)
	sessions, _ := lagging.Sessions()
	t.Logf("%.1f MB had passed when it went on, %.1f MB in all, over %d connection", float64(passed)/1e6, float64(proxy.Forwarded.Load())/1e6, sessions)
	if sessions != 1 || passed > 8<<20 {
		t.Errorf("%d connections, %d bytes passed while it read nothing", sessions, passed)
	}
}
