//go:build linux

package faults_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// limitFileSize changes how big a file another process may write.
func limitFileSize(pid int, bytes uint64) error {
	limit := syscall.Rlimit{Cur: bytes, Max: ^uint64(0)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Fault 15: files that cannot grow any more: talk goes on, history can be read, and
// when there is space again everything is stored.
func TestWriteErrorsHealWhenThereIsSpaceAgain(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	cfg := freely()
	cfg.Store, cfg.FileSize = w.path(), 1<<20
	child := w.child(cfg)
	load := faults.Talk("lobby")
	load.Size = 3000
	w.drive(load, w.dial(4, "user")...)
	var f faults.Figures
	w.await("a store error", func() (ill bool) {
		var err error
		f, err = child.Figures()
		w.must(err)
		return !f.Stats.Healthy && f.Stats.QueueEvents >= 32 // four clients with 8 each
	})
	late := w.dial(1, "late")[0]
	late.Join("lobby", false)
	w.must(late.Joined(w.ctx, "lobby"))
	if len(late.Messages("lobby")) == 0 {
		t.Error("the history cannot be read")
	}
	w.must(limitFileSize(child.Pid(), 1<<30))
	w.acks(200)
	w.quiet()
	w.end(child)
	t.Logf("%d failed calls of the store with %d events waiting", f.Stats.StoreErrors, f.Stats.QueueEvents)
	w.verify(w.sqlite(cfg.Store))
}

// The journal's disk is full while the store is away: nobody is told that something is kept
// that is not, senders are told overloaded once the queue is full; when there is space again
// and the store is back, all of it is there, and the journal keeps again what comes.
func TestJournalOnAFullDiskHeals(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	cfg, away := journaled(w)
	cfg.Limits.QueueEvents, cfg.FileSize = 100, 1<<30
	w.leave(away, faults.AwayFails)
	child := w.child(cfg)
	load := faults.Talk("lobby")
	load.Size, load.Outstanding = 3000, 40
	w.drive(load, w.dial(4, "user")...)
	w.acks(100)
	w.must(limitFileSize(child.Pid(), 64)) // not even a new segment
	w.await("a full disk", func() bool { return w.Refusals()["overloaded"] > 20 })
	f, err := child.Figures()
	w.must(err)
	n := w.Counts()
	t.Logf("%d journaled, then %d batches that the disk did not take, %d events waiting", n.Journaled, f.Stats.JournalErrors, f.Stats.QueueEvents)
	if n.Journaled == 0 || f.Stats.JournalErrors == 0 || n.Acked != n.Journaled || f.Stats.Stored > 0 {
		t.Errorf("%v; %+v", n, f.Stats)
	}
	w.must(limitFileSize(child.Pid(), 1<<30))
	w.leave(away, "")
	w.acks(200)
	w.leave(away, faults.AwayHangs)
	before := w.Counts().Journaled
	w.await("acks without a store", func() bool { return w.Counts().Journaled > before+200 })
	child.Kill()
	w.leave(away, "")
	child = w.child(cfg)
	w.acks(100)
	w.quiet()
	_, err = child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
}

// Fault 16: another process locks the database for a while: members go on seeing each
// other's messages, and the acks come when the lock is gone.
func TestDatabaseLockedByAnotherProcessHeals(t *testing.T) {
	beside(t)
	w := newWorld(t, time.Minute)
	cfg := freely()
	cfg.Store = w.path()
	child := w.child(cfg)
	clients := w.dial(2, "user")
	for _, c := range clients {
		c.Join("lobby", false)
		w.must(c.Joined(w.ctx, "lobby"))
	}
	_, err := clients[0].Send("lobby", 0).Wait(w.ctx)
	w.must(err)
	db, err := sql.Open("sqlite", "file:"+cfg.Store+"?_pragma=busy_timeout(5000)")
	w.must(err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec("BEGIN IMMEDIATE")
	w.must(err)
	began := time.Now()
	acked := w.Counts().Acked
	var sent []*faults.Pending
	lock := time.NewTimer(either(time.Second, 10*time.Second))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for held := true; held; {
		select {
		case <-lock.C:
			held = false
		case <-tick.C:
			sent = append(sent, clients[0].Send("lobby", 0))
		}
	}
	want := 1 + len(sent)
	w.await("live messages", func() bool { return len(clients[1].Messages("lobby")) >= want })
	if now := w.Counts().Acked; now != acked {
		t.Errorf("%d acks while the database was locked", now-acked)
	}
	_, err = db.Exec("ROLLBACK")
	w.must(errors.Join(err, db.Close()))
	for _, p := range sent {
		f, err := p.Wait(w.ctx)
		w.must(err)
		if f.Error != nil {
			t.Fatalf("%+v", f.Error)
		}
	}
	t.Logf("locked for %v, %d messages meanwhile", time.Since(began).Round(time.Millisecond), len(sent))
	w.quiet()
	_, err = child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
}

// Fault 32: when descriptors run out, the chats that are connected go on, history can
// be read, and new clients get in once there are descriptors again.
func TestChatsGoOnWithoutDescriptors(t *testing.T) {
	w := newWorld(t, time.Minute)
	cfg := freely()
	cfg.Store, cfg.Files = w.path(), 256
	child := w.child(cfg)
	clients := w.dial(4, "user")
	for _, c := range clients {
		c.Join("lobby", false)
		w.must(c.Joined(w.ctx, "lobby"))
	}
	var greedy []net.Conn
	defer func() {
		for _, nc := range greedy {
			nc.Close()
		}
	}()
	for range 300 {
		nc, err := net.Dial("tcp", child.Addr())
		w.must(err)
		greedy = append(greedy, nc)
	}
	w.await("the last descriptor", func() bool { return child.OpenFiles() >= 255 })
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for range 50 {
				if f, err := c.Send("lobby", 0).Wait(w.ctx); err != nil || f.Error != nil {
					t.Errorf("send without descriptors: %+v, %v", f.Error, err)
					return
				}
				f, err := c.Change("history", "lobby", `,"before":9007199254740991`).Wait(w.ctx)
				if err != nil || f.Error != nil {
					t.Errorf("history without descriptors: %+v, %v", f.Error, err)
					return
				}
			}
		})
	}
	all.Wait()
	for _, nc := range greedy {
		nc.Close()
	}
	late := w.dial(1, "late")[0]
	late.Join("lobby", false)
	w.must(late.Joined(w.ctx, "lobby"))
	w.quiet()
	_, err := child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
}

// Fault 33: with all connections of the default limit, each in a room, the server stays within
// 128 MB. The short variant has a tenth of them and looks at the heap, for a race build has memory of its own.
func TestAllConnectionsFitIn128MB(t *testing.T) {
	w := newWorld(t, 3*time.Minute)
	cfg := freely()
	cfg.MemoryLimit = 128 << 20
	child := w.child(cfg)
	before, err := child.Figures()
	w.must(err)
	peers := either(1000, 10_000)
	for i := range peers {
		nc, err := silent(child.Addr(), fmt.Sprintf("u%d", i))
		w.must(err)
		defer nc.Close()
		request := fmt.Sprintf(`{"id":"1","op":"join","room":"room-%d"}`, i%(peers/50))
		frame := append([]byte{0x81, 0x80 | byte(len(request)), 0, 0, 0, 0}, request...) // masked with zeros
		_, err = nc.Write(frame)
		w.must(err)
	}
	var f faults.Figures
	w.await("all members", func() bool {
		f, err = child.Figures()
		w.must(err)
		return f.Stats.Members == peers
	})
	each := (int64(f.Heap) - int64(before.Heap)) / int64(peers)
	t.Logf("%d connections in rooms of 50: %.1f MB resident, %.1f MB heap, %d bytes of heap each", peers, float64(f.Resident)/1e6, float64(f.Heap)/1e6, each)
	if each > 8<<10 {
		t.Errorf("%d bytes of heap each", each)
	}
	if *long && f.Resident > 128<<20 {
		t.Errorf("%d bytes resident", f.Resident)
	}
	child.Kill()
}

// Fault 28, through the whole: a store that was written with a clock ahead (by an hour, by ten years)
// is gone on with; order, dedup and resume hold.
func TestStoreFromTheFutureIsGoneOnWith(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			w := newWorld(t, time.Minute)
			store := chatroom.NewMemoryStore()
			future := chatroom.SeqAt(time.Now().Add(ahead))
			_, err := store.Append(w.ctx, []chatroom.Event{{Type: chatroom.EventMessage, Room: "lobby", Seq: future, From: chatroom.User{ID: "old"}, Text: faults.Text("old", 0)}})
			w.must(err)
			w.serve(freely().Options(store))
			load := faults.Mixed("lobby", "fresh")
			load.Drop, load.Fresh = 3, 3
			w.drive(load, w.dial(4, "user")...)
			w.acks(200)
			w.finish(store)
		})
	}
}
