//go:build linux

package load_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom/bench/load"
	"github.com/chatroom-go/chatroom/bench/peers"
)

// text is the protocol of servers that broadcast what they get.
func text(lines bool) load.Protocol {
	return load.Protocol{
		Target:   func(_, room int) string { return "/?room=" + string(rune('a'+room)) },
		Send:     func(b []byte, m load.Message) []byte { return m.Text(b) },
		Classify: func([]byte) load.Kind { return load.Delivery },
		Lines:    lines,
	}
}

func connect(t *testing.T, addr string, p load.Protocol) *load.Swarm {
	t.Helper()
	s, err := load.Connect(t.Context(), load.Config{Addr: addr, PID: os.Getpid(), Members: 12, Rooms: 3, Protocol: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestEveryPeerDeliversEachMessageOnce(t *testing.T) {
	for _, server := range peers.All {
		if server.Name == "chatroom" {
			continue // speaks another protocol; the works run it
		}
		t.Run(server.Name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			if _, err := server.Serve(ln, peers.Options{Rooms: true}); err != nil {
				t.Fatal(err)
			}
			s := connect(t, ln.Addr().String(), text(server.Name == "gorilla"))
			closed, err := s.RunClosed(t.Context(), load.Closed{Outstanding: 6, Size: 200, For: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if closed.Deliveries == 0 || closed.Latency.Count() != closed.Deliveries || closed.Last.Count() == 0 {
				t.Errorf("closed loop: %d deliveries, %d latencies, %d last", closed.Deliveries, closed.Latency.Count(), closed.Last.Count())
			}
			open, err := s.RunOpen(t.Context(), load.Open{Rate: 500, Size: 200, For: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if open.Missing != 0 || open.Sent == 0 {
				t.Errorf("open loop: %d sent, %d deliveries missing", open.Sent, open.Missing)
			}
		})
	}
}

// broken is a chat that breaks its promise once in twenty messages.
func broken(t *testing.T, deliver func(n int, send func())) string {
	var mu sync.Mutex
	members := map[*websocket.Conn]string{}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		room := r.URL.RawQuery
		mu.Lock()
		members[conn] = room
		mu.Unlock()
		for {
			_, message, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			mu.Lock()
			n++
			for other, r := range members {
				if r == room {
					deliver(n, func() { other.Write(context.Background(), websocket.MessageText, message) })
				}
			}
			mu.Unlock()
		}
	}))
	t.Cleanup(server.CloseClientConnections)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestClosedLoopNoticesAMessageGivenTwice(t *testing.T) {
	addr := broken(t, func(n int, send func()) {
		send()
		if n%20 == 0 {
			send()
		}
	})
	_, err := connect(t, addr, text(false)).RunClosed(t.Context(), load.Closed{Outstanding: 3, Size: 200, For: time.Second})
	if err == nil {
		t.Error("a server that gives messages twice passed")
	}
}

func TestOpenLoopCountsLostMessages(t *testing.T) {
	addr := broken(t, func(n int, send func()) {
		if n%20 != 0 {
			send()
		}
	})
	r, err := connect(t, addr, text(false)).RunOpen(t.Context(), load.Open{Rate: 2000, Size: 200, For: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Missing <= 0 {
		t.Errorf("%d messages sent to a server that loses some, %d missing", r.Sent, r.Missing)
	}
}

func TestRefusedUpgradeIsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, err := load.Connect(t.Context(), load.Config{Addr: strings.TrimPrefix(server.URL, "http://"), Members: 2, Protocol: text(false)})
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("connected to a server without WebSocket: %+v", err)
	}
}
