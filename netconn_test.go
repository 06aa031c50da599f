package chatroom_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom"
)

// transports are the ways a connection can reach the hub: with a descriptor to
// write to, and without one.
var transports = map[string]func(t *testing.T, hub *chatroom.Hub) func(user string) net.Conn{
	"tcp": func(t *testing.T, hub *chatroom.Hub) func(string) net.Conn {
		s := httptest.NewServer(hub)
		t.Cleanup(s.Close)
		return func(user string) net.Conn {
			nc, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return nc
		}
	},
	"tls": func(t *testing.T, hub *chatroom.Hub) func(string) net.Conn {
		s := httptest.NewTLSServer(hub)
		t.Cleanup(s.Close)
		trust := s.Client().Transport.(*http.Transport).TLSClientConfig
		return func(user string) net.Conn {
			nc, err := tls.Dial("tcp", s.Listener.Addr().String(), trust)
			if err != nil {
				t.Fatal(err)
			}
			return nc
		}
	},
	"pipe": func(t *testing.T, hub *chatroom.Hub) func(string) net.Conn {
		transport, stop := overPipe(hub)
		t.Cleanup(stop)
		return func(user string) net.Conn {
			nc, _ := transport.DialContext(context.Background(), "", "")
			return nc
		}
	},
}

// handshake upgrades a raw connection by hand.
func handshake(t *testing.T, nc net.Conn, user string) *bufio.Reader {
	t.Helper()
	fmt.Fprintf(nc, "GET /ws?user=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", user)
	br := bufio.NewReaderSize(nc, 64<<10)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("handshake: %v %v", resp, err)
	}
	return br
}

// masked makes a client frame.
func masked(opcode byte, payload string) []byte {
	b := []byte{0x80 | opcode}
	if len(payload) < 126 {
		b = append(b, 0x80|byte(len(payload)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(payload)))
	}
	b = append(b, 1, 2, 3, 4)
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i%4+1))
	}
	return b
}

// serverFrame reads one frame and checks what RFC 6455 asks of a server's.
func serverFrame(br *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(br, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	switch {
	case head[0]&0x80 == 0 || head[0]&0x70 != 0 || head[1]&0x80 != 0:
		return 0, nil, fmt.Errorf("header % x: fragmented, reserved bits or masked", head)
	case n == 126:
		var b [2]byte
		_, err = io.ReadFull(br, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case n == 127:
		var b [8]byte
		_, err = io.ReadFull(br, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil || n > 16<<20 {
		return 0, nil, fmt.Errorf("length %d: %w", n, err)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(br, payload)
	return head[0] & 0x0f, payload, err
}

// Data frames are ours, control frames the library's; under fire each must stay whole.
func TestNoControlFrameInsideADataFrame(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			hub, err := chatroom.New(testOptions())
			if err != nil {
				t.Fatal(err)
			}
			connect := transport(t, hub)
			const members, messages = 4, 400
			var wg sync.WaitGroup
			ready := make(chan struct{}, members)
			for m := range members {
				nc := connect("u")
				t.Cleanup(func() { nc.Close() })
				br := handshake(t, nc, fmt.Sprint("u", m))
				done := make(chan struct{})
				wg.Go(func() { // fire: pings of all sizes while the room floods, then a close
					nc.Write(masked(1, `{"id":"1","op":"join","room":"r"}`))
					for i := range 2000 {
						if _, err := nc.Write(masked(9, strings.Repeat("p", i%126))); err != nil {
							break
						}
					}
					<-done
					nc.Write(masked(8, "\x03\xe8"))
				})
				wg.Go(func() {
					seen, pongs, joined := 0, 0, false
					finish := sync.OnceFunc(func() { close(done) })
					defer finish()
					for {
						op, payload, err := serverFrame(br)
						if err != nil {
							t.Errorf("member %d: after %d messages and %d pongs: %+v", m, seen, pongs, err)
							return
						}
						switch op {
						case 1:
							var f frame
							if err := json.Unmarshal(payload, &f); err != nil {
								t.Errorf("member %d: %v in %q", m, err, payload)
								return
							}
							if f.ID == "1" && !joined {
								joined = true
								ready <- struct{}{}
							}
							if f.Event == "message" {
								if seen++; seen == messages {
									finish()
								}
							}
						case 10:
							pongs++
							if strings.Trim(string(payload), "p") != "" {
								t.Errorf("member %d: pong %q", m, payload)
								return
							}
						case 8:
							if seen < messages {
								t.Errorf("member %d: closed after %d messages: %q", m, seen, payload)
							}
							return
						default:
							t.Errorf("member %d: opcode %d", m, op)
							return
						}
					}
				})
			}
			for range members {
				<-ready
			}
			text := strings.Repeat("é", 1500)
			for range messages {
				if _, err := hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: text}); err != nil {
					t.Fatal(err)
				}
			}
			wg.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := hub.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// Unasked pongs between messages are dropped before the library sees them, however
// the stream is cut into reads; within a message they are the library's.
func TestPongsAreDroppedWhereverTheyFall(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			hub, err := chatroom.New(testOptions())
			if err != nil {
				t.Fatal(err)
			}
			nc := transport(t, hub)("u")
			t.Cleanup(func() { nc.Close() })
			br := handshake(t, nc, "u")
			const requests = 50
			var stream []byte
			for i := range requests {
				stream = append(stream, masked(10, strings.Repeat("p", i*125/requests))...)
				stream = append(stream, masked(10, "")...)
				request := masked(1, fmt.Sprintf(`{"id":"%d","op":"ping"}`, i))
				if i%2 == 1 { // in two fragments, a pong between them
					whole := fmt.Sprintf(`{"id":"%d","op":"ping"}`, i)
					request = masked(1, whole[:5])
					request[0] &^= 0x80
					request = append(request, masked(10, "between")...)
					request = append(request, masked(0, whole[5:])...)
				}
				stream = append(stream, request...)
			}
			go func() {
				for n := 1; len(stream) > 0; n = n%13 + 1 {
					n = min(n, len(stream))
					nc.Write(stream[:n])
					stream = stream[n:]
				}
			}()
			for i := 0; i < requests; {
				op, payload, err := serverFrame(br)
				if err != nil || op != 1 {
					t.Fatalf("after %d replies: opcode %d, %q, %v", i, op, payload, err)
				}
				if strings.Contains(string(payload), fmt.Sprintf(`"id":"%d","ok":true`, i)) {
					i++
				} else if !strings.Contains(string(payload), "hello") {
					t.Fatalf("want the reply to %d, got %s", i, payload)
				}
			}
			nc.Close()
			if err := hub.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A reader that stops is closed alone; it heals by resuming, and the others see everything.
func TestSlowReaderIsClosedAloneAndResumes(t *testing.T) {
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			opts := testOptions()
			opts.Limits.WriteTimeout = 100 * time.Millisecond
			opts.Limits.LagBytes = 64 << 10
			hub, err := chatroom.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			connect := transport(t, hub)
			slow := connect("slow")
			br := handshake(t, slow, "slow")
			slow.Write(masked(1, `{"id":"1","op":"join","room":"r"}`))
			for {
				_, b, err := serverFrame(br)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(b), `"id":"1"`) {
					break
				}
			}
			text := strings.Repeat("x", 4000)
			var seqs []chatroom.Seq
			for hub.Stats().SlowConsumers == 0 {
				if len(seqs) > 5000 {
					t.Fatal("20 MB behind and still not closed")
				}
				seq, err := hub.Room("r").Send(context.Background(), chatroom.Draft{From: bot, Text: text})
				if err != nil {
					t.Fatal(err)
				}
				seqs = append(seqs, seq)
			}
			slow.Close()
			back := connect("slow")
			t.Cleanup(func() { back.Close() })
			br = handshake(t, back, "slow")
			at := seqs[len(seqs)-5]
			back.Write(masked(1, fmt.Sprintf(`{"id":"2","op":"join","room":"r","after":%d}`, at)))
			for i := len(seqs) - 4; i < len(seqs); {
				_, b, err := serverFrame(br)
				if err != nil {
					t.Fatal(err)
				}
				var f frame
				json.Unmarshal(b, &f)
				if f.Event == "message" {
					if f.Seq != seqs[i] || f.Prev != seqs[i-1] {
						t.Fatalf("want %d after %d, got %s", seqs[i], seqs[i-1], b[:120])
					}
					i++
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			back.Close()
			if err := hub.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// FuzzFrames has coder/websocket's own client read what our frame writer makes of any text.
func FuzzFrames(f *testing.F) {
	for _, n := range []int{0, 1, 125 - 90, 126, 4000} {
		f.Add(strings.Repeat("a", n), "name")
	}
	f.Add("\u2028</script>\x00\"\\", "💬")
	f.Add("lone \xed\xa0\x80 surrogate", "\xff")
	hub, err := chatroom.New(func() chatroom.Options {
		o := testOptions()
		o.Authenticate = func(r *http.Request) (chatroom.User, error) { return chatroom.User{ID: "u"}, nil }
		return o
	}())
	if err != nil {
		f.Fatal(err)
	}
	transport, stop := overPipe(hub)
	f.Cleanup(func() { hub.Shutdown(context.Background()); stop() })
	c := dial(f, "ws://pipe/ws", transport)
	c.next()
	c.join("r")
	f.Fuzz(func(t *testing.T, text, name string) {
		seq, err := hub.Room("r").Send(t.Context(), chatroom.Draft{From: chatroom.User{ID: "u", Name: name}, Text: text})
		if err != nil {
			return // not a valid draft
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for {
			kind, b, err := c.ws.Read(ctx)
			if err != nil || kind != websocket.MessageText {
				t.Fatalf("%v %v", kind, err)
			}
			var got frame
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatalf("%v in %q", err, b)
			}
			if got.Event != "message" {
				continue
			}
			msgs, err := hub.Room("r").History(ctx, chatroom.Page{Limit: 1})
			if err != nil || got.Seq != seq || got.Text != msgs[0].Text {
				t.Fatalf("sent %q, read %q, %v", text, got.Text, err)
			}
			return
		}
	})
}
