package chatroom

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/chatroom-go/chatroom/internal/wire"
)

const subprotocol = "chatroom.v1"

// serveSocket upgrades a request and starts a connection. What can be refused
// before the upgrade is; what a browser's script has to see, which reads no status of a
// failed upgrade, is told by a close code.
func (h *Hub) serveSocket(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		h.failStatus(w, http.StatusMethodNotAllowed, &Error{Code: "bad_field", Field: "method", Message: "only GET"})
		return
	}
	if origin := r.Header.Get("Origin"); !sameOrigin(r) && !h.trustedOrigin(origin) {
		h.log.Warn("chatroom: refused a cross-origin connection; Options.Origins lists who may", "origin", origin, "host", r.Host)
		h.fail(w, &Error{Code: "forbidden", Message: "this origin may not connect"})
		return
	}
	if _, ok := hijackable(w); !ok {
		h.log.Error("chatroom: the connection cannot be taken over; mount the hub outside middleware that replaces the ResponseWriter without Unwrap, such as http.TimeoutHandler, and on HTTP/1.1", "writer", fmt.Sprintf("%T", w), "proto", r.Proto)
		h.failStatus(w, http.StatusNotImplemented, &Error{Code: "internal", Message: "the server's middleware does not allow WebSocket"})
		return
	}
	address := h.clientAddress(r)
	if err := h.reserveAddress(address); err != nil {
		h.fail(w, err)
		return
	}
	user, authErr := h.whoIs(r)
	if !h.enter() {
		h.freeAddress(address)
		h.fail(w, ErrShuttingDown)
		return
	}
	defer h.connWait.Done()
	c, err := h.upgrade(w, r)
	if err != nil { // Accept has answered
		h.freeAddress(address)
		return
	}
	c.user, c.address = user, address
	switch {
	case authErr != nil && asError(authErr).Code == "unauthorized":
		c.turnAway(closeUnauthorized)
	case authErr != nil:
		c.turnAway(closeOverloaded.after(errTooMany.RetryAfter))
	case !speaksOurs(r):
		c.turnAway(closeVersion)
	default:
		err := h.register(c)
		if err == nil {
			return
		}
		c.turnAway(closeOverloaded.after(asError(err).RetryAfter))
	}
	h.freeAddress(address)
}

// upgrade makes the connection with the memory of an idle one in mind.
func (h *Hub) upgrade(w http.ResponseWriter, r *http.Request) (*conn, error) {
	c := &conn{hub: h, session: randomID(), opened: h.tick.Load()}
	taken := &hijacker{ResponseWriter: w, hub: h}
	ws, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // checked already, with our own message
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(h.opts.Limits.FrameBytes))
	c.ws, c.sock, c.input = ws, taken.sock, taken.input
	return c, nil
}

// turnAway closes a connection that was never registered.
func (c *conn) turnAway(why closeCode) {
	c.sock.close(why)
	c.sock.linger()
	c.ws.CloseNow()
	c.sock.Close()
}

// hello is the first frame of a connection.
func (c *conn) hello() []byte {
	l := &c.hub.opts.Limits
	b := append(wire.Begin(nil), `{"event":"hello","protocol":1`...)
	b = appendUser(b, `,"user":`, c.user)
	b = appendText(b, `,"session":`, c.session)
	b = appendInt(b, `,"heartbeat_ms":`, l.Heartbeat.Milliseconds())
	b = appendInt(b, `,"limits":{"frame_bytes":`, int64(l.FrameBytes))
	b = appendInt(b, `,"text_bytes":`, int64(l.TextBytes))
	b = appendInt(b, `,"text_runes":`, int64(l.TextRunes))
	b = appendInt(b, `,"history":`, int64(l.PageMax))
	b = appendInt(b, `,"rooms":`, int64(l.RoomsPerConnection))
	return wire.Finish(append(b, "}}"...), 0)
}

// speaksOurs reports whether the client can talk version 1: it asks for it, or
// for no version of this protocol at all.
func speaksOurs(r *http.Request) bool {
	foreign := false
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(header, ",") {
			p = strings.TrimSpace(p)
			if p == subprotocol {
				return true
			}
			foreign = foreign || strings.HasPrefix(p, "chatroom.")
		}
	}
	return !foreign
}

func randomID() string { return strings.ToLower(rand.Text()) }

// hijacker is the ResponseWriter that the WebSocket library takes over: it
// hands out our socket, and buffers of a size that thousands of idle
// connections can have.
type hijacker struct {
	http.ResponseWriter
	hub   *Hub
	sock  *socket
	input *bufio.Reader // what the library reads from
}

// WriteHeaderNow is gin's way of sending the header before a hijack.
func (j *hijacker) WriteHeaderNow() {
	for w := j.ResponseWriter; w != nil; w = unwrap(w) {
		if g, ok := w.(interface{ WriteHeaderNow() }); ok {
			g.WriteHeaderNow()
			return
		}
	}
}

// Hijack finds the connection under the host's middleware.
func (j *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	hj, _ := hijackable(j.ResponseWriter)
	nc, rw, err := hj.Hijack()
	if err != nil {
		j.hub.log.Error("chatroom: the connection cannot be taken over; the server's middleware has a Hijack that fails", "writer", fmt.Sprintf("%T", hj), "error", err)
		return nil, nil, err
	}
	j.sock = newSocket(nc, j.hub)
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n)
		j.sock.ahead = slices.Clone(early)
	}
	// Input is read ahead in a buffer that idle connections do not have, and the longest control frame is 127.
	j.input = bufio.NewReaderSize(j.sock, 64)
	return j.sock, bufio.NewReadWriter(j.input, bufio.NewWriterSize(j.sock, 128)), nil
}

// hijackable finds the http.Hijacker under middleware that can be unwrapped.
func hijackable(w http.ResponseWriter) (http.Hijacker, bool) {
	for ; w != nil; w = unwrap(w) {
		if hj, ok := w.(http.Hijacker); ok {
			return hj, true
		}
	}
	return nil, false
}

func unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}
