//go:build linux || darwin

package faults_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/internal/faults"
)

// Fault 5: SIGTERM under load leaves nothing unsaved and tells every client.
func TestTerminatedServerSavesEverythingAndTellsEverybody(t *testing.T) {
	beside(t)
	w := newWorld(t, either(time.Minute, 5*time.Minute))
	cfg := freely()
	cfg.Store = w.path()
	child := w.child(cfg)
	clients := w.dial(8, "user")
	w.drive(faults.Mixed("one", "two"), clients...)
	rounds := either(3, 20)
	for range rounds {
		w.acks(100 + w.rng.IntN(200))
		w.await("all to be back", func() bool { // or there is somebody whom nobody can tell
			f, err := child.Figures()
			w.must(err)
			return f.Stats.Connections == len(clients)
		})
		s, err := child.Terminate()
		w.must(err)
		if s.Unsaved != 0 || s.Error != "" || s.Accepted != s.Stored {
			t.Errorf("%+v", s)
		}
		child = w.child(cfg)
	}
	w.acks(100)
	w.quiet()
	_, err := child.Terminate()
	w.must(err)
	w.verify(w.sqlite(cfg.Store))
	told := 0
	for _, c := range clients {
		_, closes := c.Sessions()
		told += closes["going_away"]
	}
	t.Logf("%d shutdowns, %d of %d connections were told to go", rounds, told, rounds*len(clients))
	if told != rounds*len(clients) {
		t.Errorf("%d of %d connections were told going_away", told, rounds*len(clients))
	}
	if n := w.Counts(); n.Lowered > 0 {
		t.Errorf("%d clients were told to forget something", n.Lowered)
	}
}

// Fault 6: SIGTERM with a hung store reports at the deadline exactly what is not stored.
func TestTerminatedServerWithHungStoreReportsTheExactCount(t *testing.T) {
	w := newWorld(t, time.Minute)
	cfg := freely()
	cfg.Store, cfg.StoreHangs, cfg.Drain = w.path(), 5, time.Second
	child := w.child(cfg)
	load := faults.Talk("lobby")
	load.Outstanding = 50
	w.drive(load, w.dial(4, "user")...)
	var accepted int64
	w.await("a hung store", func() bool {
		f, err := child.Figures()
		w.must(err)
		accepted = f.Stats.Accepted
		return f.Hung && f.Stats.QueueEvents >= 200 // four clients with 50 each
	})
	s, err := child.Terminate()
	w.must(err)
	w.rest()
	store := w.sqlite(cfg.Store)
	var held int
	for after := chatroom.Seq(0); ; {
		events, err := store.Events(w.ctx, "lobby", after, 1000)
		w.must(err)
		if len(events) == 0 {
			break
		}
		held += len(events)
		after = events[len(events)-1].Seq
	}
	t.Logf("accepted %d, stored %d, reported %d unsaved after %v", accepted, held, s.Unsaved, s.Took.Round(time.Millisecond))
	if s.Unsaved == 0 || int64(s.Unsaved) != accepted-int64(held) {
		t.Errorf("accepted %d, the store holds %d, reported %d unsaved (%s)", accepted, held, s.Unsaved, s.Error)
	}
	if s.Took > cfg.Drain+time.Second {
		t.Errorf("shutdown took %v, its deadline was %v", s.Took, cfg.Drain)
	}
}

// Fault 7: Shutdown before anything, twice, and many times at once.
func TestShutdownTwiceAndBeforeAnything(t *testing.T) {
	hub, err := chatroom.New(freely().Options(chatroom.NewMemoryStore()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := hub.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := hub.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if _, err := hub.Room("lobby").Send(ctx, chatroom.Draft{From: chatroom.User{ID: "ann"}, Text: "hi"}); !errors.Is(err, chatroom.ErrShuttingDown) {
		t.Errorf("Send after Shutdown; %v", err)
	}
}

// Fault 7: a second Shutdown tells the same as the first that had to give up.
func TestSecondShutdownTellsTheSameAsTheFirst(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	store := faults.Wrap(chatroom.NewMemoryStore())
	store.Set(faults.Hung(release, false))
	hub, err := chatroom.New(freely().Options(store))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() { // ends with its context
		defer close(sent)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		hub.Room("lobby").Send(ctx, chatroom.Draft{From: chatroom.User{ID: "ann"}, Text: "hi"})
	}()
	<-sent
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	first := hub.Shutdown(ctx)
	second := hub.Shutdown(context.Background())
	for _, err := range []error{first, second} {
		var unsaved *chatroom.UnsavedError
		if !errors.As(err, &unsaved) || unsaved.Events != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown; %v", err)
		}
	}
}

// Fault 7: Shutdown while clients are upgrading ends, leaves none connected and no goroutine.
func TestShutdownDuringUpgrades(t *testing.T) {
	for range either(10, 100) {
		srv, err := faults.Serve(freely().Options(chatroom.NewMemoryStore()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		var dialers sync.WaitGroup
		for i := range 20 {
			dialers.Go(func() {
				for ctx.Err() == nil {
					ws, _, err := websocket.Dial(ctx, fmt.Sprintf("%s?user=u%d", srv.URL(), i), nil)
					if err != nil {
						return // refused: the hub has closed
					}
					ws.CloseNow()
				}
			})
		}
		for srv.Hub.Stats().Connections == 0 {
			r, err := http.Get("http://" + srv.Addr() + "/figures") // gives the dialers time
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		}
		if err := srv.Hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		dialers.Wait()
		if n := srv.Hub.Stats().Connections; n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if err := srv.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	http.DefaultClient.CloseIdleConnections()
}

// silent upgrades over a bare connection and then neither reads nor writes.
func silent(addr, user string) (net.Conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(nc, "GET /chat/ws?user=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", user, addr)
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err == nil && !strings.Contains(line, " 101 ") {
		err = errors.New(line)
	}
	return nc, err
}

// Fault 8: with thousands of peers that do not answer, shutdown takes the close grace and a second.
func TestShutdownWithSilentPeersTakesTheGraceAndASecond(t *testing.T) {
	w := newWorld(t, 2*time.Minute)
	child := w.child(freely())
	peers := either(1000, 10_000)
	for i := range peers {
		nc, err := silent(child.Addr(), fmt.Sprintf("u%d", i))
		w.must(err)
		defer nc.Close()
	}
	w.await("all peers", func() bool {
		f, err := child.Figures()
		w.must(err)
		return f.Stats.Connections == peers
	})
	s, err := child.Terminate()
	w.must(err)
	t.Logf("%d silent peers; %v", peers, s.Took.Round(time.Millisecond))
	if s.Error != "" || s.Took > 4*time.Second {
		t.Errorf("%+v", s)
	}
}
