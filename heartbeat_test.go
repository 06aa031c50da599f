package chatroom_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chatroom-go/chatroom"
)

// bubble runs a test in fake time with a hub that is reached over pipes.
func bubble(t *testing.T, opts chatroom.Options, test func(t *testing.T, b *inBubble)) {
	synctest.Test(t, func(t *testing.T) {
		hub, err := chatroom.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		transport, stop := overPipe(hub)
		t.Cleanup(func() { // after the connections' own
			if err := hub.Shutdown(context.Background()); err != nil {
				t.Errorf("shutdown: %+v", err)
			}
			stop()
		})
		test(t, &inBubble{t, hub, transport})
	})
}

type inBubble struct {
	t         *testing.T
	hub       *chatroom.Hub
	transport *http.Transport
}

// connect connects a client whose end takes what comes, as a kernel would: a
// pipe has no buffer, and whoever does not read is a slow consumer.
func (b *inBubble) connect(user string) *client {
	b.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := b.transport.DialContext(ctx, network, addr)
		p := &pumped{Conn: nc, ch: make(chan []byte, 1000)}
		go p.pump() // ends with the connection
		return p, err
	}}
	c := dial(b.t, "ws://chat.example/ws?user="+user, transport)
	c.hello = c.next()
	return c
}

type pumped struct {
	net.Conn
	ch   chan []byte
	rest []byte
}

func (p *pumped) pump() {
	defer close(p.ch)
	for {
		b := make([]byte, 4096)
		n, err := p.Conn.Read(b)
		if err != nil {
			return
		}
		p.ch <- b[:n]
	}
}

func (p *pumped) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		var ok bool
		if p.rest, ok = <-p.ch; !ok {
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// peer is a client that does what no library does for it: it answers no ping
// and no close by itself.
type peer struct {
	net.Conn
	t      *testing.T
	frames chan heard // closed when the connection ends
}

type heard struct {
	opcode  byte
	payload []byte
	at      time.Time
}

// code is the code of a close frame.
func (h heard) code() int {
	if h.opcode != 8 || len(h.payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(h.payload))
}

// peer connects and reads the hello.
func (b *inBubble) peer(user string) *peer {
	b.t.Helper()
	nc, err := b.transport.DialContext(b.t.Context(), "", "")
	if err != nil {
		b.t.Fatal(err)
	}
	br := handshake(b.t, nc, user)
	p := &peer{nc, b.t, make(chan heard, 1000)}
	go func() { // ends with the connection, which the cleanup closes
		defer close(p.frames)
		for {
			op, payload, err := serverFrame(br)
			if err != nil {
				return
			}
			p.frames <- heard{op, payload, time.Now()}
		}
	}()
	b.t.Cleanup(func() { nc.Close() })
	if f := p.next(); !bytes.Contains(f.payload, []byte(`"hello"`)) {
		b.t.Fatalf("first frame: %s", f.payload)
	}
	return p
}

func (p *peer) next() heard {
	p.t.Helper()
	f, ok := <-p.frames
	if !ok {
		p.t.Fatal("the connection has ended")
	}
	return f
}

// ping makes a request and waits for the reply.
func (p *peer) ping() {
	p.t.Helper()
	p.Write(masked(1, `{"id":"1","op":"ping"}`))
	if f := p.next(); string(f.payload) != `{"id":"1","ok":true}` {
		p.t.Fatalf("reply: %s", f.payload)
	}
}

// ends waits for the connection's end.
func (p *peer) ends() time.Time {
	p.t.Helper()
	for f := range p.frames {
		p.t.Errorf("before the end: %d %s", f.opcode, f.payload)
	}
	return time.Now()
}

func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s after %v, want %v to %v", what, got, low, high)
	}
}

func TestASilentPeerIsPingedThenDropped(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		p := b.peer("ann")
		p.ping()
		began := time.Now()
		f := p.next()
		if f.opcode != 9 {
			t.Fatalf("frame %d %s", f.opcode, f.payload)
		}
		between(t, "ping", f.at.Sub(began), 24*time.Second, 25*time.Second)
		f = p.next()
		if f.code() != 4002 || string(f.payload[2:]) != "heartbeat_timeout" {
			t.Fatalf("frame %d %s", f.opcode, f.payload)
		}
		between(t, "closed", f.at.Sub(began), 34*time.Second, 35*time.Second)
		between(t, "cut", p.ends().Sub(f.at), time.Second, 3*time.Second)
		synctest.Wait()
		if n := b.hub.Stats().Connections; n != 0 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestPongsKeepAConnectionAlive(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		p := b.peer("ann")
		p.ping()
		for last := time.Now(); time.Since(last) < 2*time.Minute; {
			f := p.next()
			if f.opcode != 9 {
				t.Fatalf("frame %d %s", f.opcode, f.payload)
			}
			p.Write(masked(10, string(f.payload)))
		}
		p.ping()
	})
}

func TestRequestsKeepAConnectionAliveWithoutPings(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		p := b.peer("ann")
		for range 10 {
			p.ping() // fails on any other frame
			time.Sleep(20 * time.Second)
		}
		p.ping()
	})
}

func TestHeartbeatAndReadTimeoutAreOptions(t *testing.T) {
	opts := testOptions()
	opts.Limits.Heartbeat, opts.Limits.ReadTimeout = 60*time.Second, 3*time.Second
	bubble(t, opts, func(t *testing.T, b *inBubble) {
		p, idle := b.peer("ann"), b.peer("bob")
		p.ping()
		began := time.Now()
		f := idle.next()
		if f.code() != 4001 {
			t.Fatalf("frame %d %s", f.opcode, f.payload)
		}
		between(t, "closed", f.at.Sub(began), 2*time.Second, 3*time.Second)
		if f := p.next(); f.opcode != 9 {
			t.Fatalf("frame %d %s", f.opcode, f.payload)
		} else {
			between(t, "ping", f.at.Sub(began), 59*time.Second, 60*time.Second)
		}
	})
}

func TestAClientThatAsksNothingIsClosed(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		p, began := b.peer("ann"), time.Now()
		for range 5 {
			p.Write(masked(10, "")) // alive, but asks nothing
			time.Sleep(time.Second)
		}
		f := p.next()
		if f.code() != 4001 || string(f.payload[2:]) != "read_timeout" {
			t.Fatalf("frame %d %s", f.opcode, f.payload)
		}
		between(t, "closed", f.at.Sub(began), 9*time.Second, 10*time.Second)
		between(t, "cut", p.ends().Sub(f.at), time.Second, 3*time.Second)
	})
}

// The WebSocket library would read these for ever.
func TestAMessageThatTakesTooLongIsClosed(t *testing.T) {
	long := masked(1, `{"id":"1","op":"ping","pad":"0123456789012345678901234567890123456789"}`)
	for name, piece := range map[string]func(i int) []byte{
		"a byte a second": func(i int) []byte { return long[i : i+1] },
		"empty fragments": func(i int) []byte {
			if i == 0 {
				return []byte{0x01, 0x80, 1, 2, 3, 4}
			}
			return []byte{0x00, 0x80, 1, 2, 3, 4}
		},
		"fragments of a byte": func(i int) []byte {
			if i == 0 {
				return []byte{0x01, 0x81, 0, 0, 0, 0, '{'}
			}
			return []byte{0x00, 0x81, 0, 0, 0, 0, ' '}
		},
		"fragments and pings": func(i int) []byte {
			if i == 0 {
				return []byte{0x01, 0x81, 0, 0, 0, 0, '{'}
			}
			return masked(10, "still here")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
				p := b.peer("ann")
				p.ping()
				began := time.Now()
				for i := 0; ; i++ {
					if _, err := p.Write(piece(i)); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				f := p.next()
				if f.code() != 4001 || string(f.payload[2:]) != "read_timeout" {
					t.Fatalf("frame %d %s", f.opcode, f.payload)
				}
				// A header's 6 bytes come before the message counts as begun.
				between(t, "closed", f.at.Sub(began), 9*time.Second, 16*time.Second)
				p.ends()
				between(t, "cut", time.Since(began), 9*time.Second, 19*time.Second)
			})
		})
	}
}

func TestACloseThatIsNotAnsweredIsCut(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		deaf, polite := b.peer("ann"), b.peer("bob")
		deaf.ping()
		polite.ping()
		began := time.Now()
		b.hub.Disconnect("ann")
		b.hub.Disconnect("bob")
		if f := polite.next(); f.code() != 4501 {
			t.Errorf("frame %d %s", f.opcode, f.payload)
		}
		polite.Write(masked(8, "\x0f\xa1"))
		between(t, "an answered close", polite.ends().Sub(began), 0, 0)
		if f := deaf.next(); f.code() != 4501 {
			t.Errorf("frame %d %s", f.opcode, f.payload)
		}
		deaf.Write(masked(1, `{"id":"late","op":"ping"}`)) // not answered any more
		between(t, "a close without an answer", deaf.ends().Sub(began), time.Second, 3*time.Second)
	})
}

func TestAPeersCloseIsAnswered(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		p := b.peer("ann")
		p.ping()
		p.Write(masked(8, "\x03\xe8bye"))
		if f := p.next(); f.code() != 1000 {
			t.Errorf("frame %d %s", f.opcode, f.payload)
		}
		began := time.Now()
		between(t, "the end", p.ends().Sub(began), 0, time.Second)
	})
}

// A peer that is gone without a word is found by its silence, and its user is
// absent after the grace.
func TestADeadClientLeavesTheRoom(t *testing.T) {
	bubble(t, testOptions(), func(t *testing.T, b *inBubble) {
		dead := b.peer("ann")
		dead.Write(masked(1, `{"id":"1","op":"join","room":"lobby"}`))
		began := time.Now()
		watcher := b.peer("bob")
		watcher.Write(masked(1, `{"id":"1","op":"join","room":"lobby"}`))
		for left := []byte(`"leave":["ann"]`); ; {
			f := watcher.next()
			if f.opcode == 9 {
				watcher.Write(masked(10, ""))
			}
			if bytes.Contains(f.payload, left) {
				// 35 s of silence, 2 s for the close, 5 s of grace, a second for the diff
				between(t, "the leave", f.at.Sub(began), 35*time.Second, 43*time.Second)
				break
			}
		}
		if got := fmt.Sprint(b.hub.Room("lobby").Members()); got != "[{bob Bob}]" {
			t.Errorf("members: %s", got)
		}
	})
}
