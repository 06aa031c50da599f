//go:build unix

package chatroom

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
)

// keepsNothing is a store that answers at once.
type keepsNothing struct{ *MemoryStore }

func (keepsNothing) Append(_ context.Context, events []Event) ([]AppendResult, error) {
	results := make([]AppendResult, len(events))
	for i, e := range events {
		results[i].Seq = e.Seq
	}
	return results, nil
}

// benchRoom is a room with n members whose sockets take everything, and a hub without flushers.
func benchRoom(tb testing.TB, n int) *liveRoom {
	hub, err := New(Options{
		Store:        keepsNothing{NewMemoryStore()},
		Authenticate: func(*http.Request) (User, error) { return User{ID: "u"}, nil },
		Logger:       slog.New(slog.DiscardHandler),
		Limits:       Limits{QueueEvents: 1 << 20, QueueBytes: 1 << 29},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { hub.Shutdown(context.Background()) })
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // takes everything at once
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { null.Close() })
	r, err := hub.live(context.Background(), "room")
	if err != nil {
		tb.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		here, there := net.Pipe()
		tb.Cleanup(func() { here.Close(); there.Close() })
		c := &conn{hub: hub, user: User{ID: "u"}, sock: newSocket(here, hub)}
		c.sock.fd = int(null.Fd())
		m := &member{room: r, conn: c, cur: r.log.last()}
		c.sock.follow(m)
		r.admitMemberLocked(m)
	}
	return r
}

var benchEvent = Event{
	Type: EventMessage,
	From: User{ID: "user-1", Name: "User One"},
	Text: "two hundred bytes of text, as people write it: not very long, not very short, with a few words that nobody needs and some that somebody does, and a full stop in the end so that it looks finished, nearly.",
}

// The cost of a member in a flush, with the kernel's for a write that goes nowhere.
func BenchmarkFlushShard(b *testing.B) {
	r := benchRoom(b, shardSize)
	s := r.shards[0]
	b.ReportAllocs()
	for b.Loop() {
		r.mu.Lock()
		r.log.append(make([]byte, 300)[:300:300], 0)
		r.mu.Unlock()
		s.flush()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*shardSize), "ns/delivery")
}

// Decoded to delivered: seq, frame, log, queue.
func BenchmarkAccept(b *testing.B) {
	r := benchRoom(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		for {
			_, _, err := r.accept(benchEvent, waiter{})
			if err == nil {
				break
			}
		}
	}
}

// Accepted to answered, in batches as they form.
func BenchmarkAcked(b *testing.B) {
	r := benchRoom(b, 0)
	b.ReportAllocs()
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := waiter{call: make(chan receipt, 1)}
			if _, _, err := r.accept(benchEvent, w); err != nil {
				b.Error(err)
				return
			}
			<-w.call
		}
	})
}

func BenchmarkEncodeEvent(b *testing.B) {
	e := benchEvent
	e.Room, e.Seq, e.Prev = "room", 1790000000000001, 1790000000000000
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendEvent(buf[:0], &e)
	}
}

func TestFlushAllocatesNothing(t *testing.T) {
	r := benchRoom(t, shardSize)
	frame := make([]byte, 300)
	allocs := testing.AllocsPerRun(100, func() { r.shards[0].flush() })
	r.mu.Lock()
	r.log.append(frame, 0)
	r.mu.Unlock()
	allocs += testing.AllocsPerRun(1, func() { r.shards[0].flush() })
	if allocs != 0 {
		t.Errorf("flushing %d members allocates %v times", shardSize, allocs)
	}
}

func TestEncodingAnEventAllocatesNothing(t *testing.T) {
	e := benchEvent
	e.Room, e.Seq, e.Prev = "room", 1790000000000001, 1790000000000000
	buf := appendEvent(nil, &e)
	if allocs := testing.AllocsPerRun(100, func() { buf = appendEvent(buf[:0], &e) }); allocs != 0 {
		t.Errorf("allocates %v times", allocs)
	}
}
