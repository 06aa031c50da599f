package chatroom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// ServeHTTP routes what PROTOCOL.md §10 lists. Paths are taken as they come,
// without the mount's prefix: wrap the hub in http.StripPrefix.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.warnOnce.Do(func() { h.checkServer(r) })
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store") // the browser client's files set their own
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	switch {
	case path == "ws":
		h.serveSocket(w, r)
		return
	case path == "" || strings.HasPrefix(path, "ui/"):
		serveUI(w, r, path)
		return
	}
	room, what, ok := roomPath(path)
	if !ok {
		h.fail(w, &Error{Code: "not_found", Message: "no such path under the chat's mount"})
		return
	}
	if err := wire.CheckRoom(room); err != nil {
		h.fail(w, fromWire(err))
		return
	}
	h.serveRoom(w, r, room, what)
}

// roomPath takes rooms/{room}/{what} apart; the room's name is one escaped segment.
func roomPath(path string) (room, what string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 3 || parts[0] != "rooms" || parts[2] != "messages" && parts[2] != "members" {
		return "", "", false
	}
	room, err := url.PathUnescape(parts[1])
	return room, parts[2], err == nil
}

func (h *Hub) serveRoom(w http.ResponseWriter, r *http.Request, room, what string) {
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	post := r.Method == http.MethodPost && what == "messages"
	if !get && !post {
		allow := "GET, HEAD"
		if what == "messages" {
			allow += ", POST"
		}
		w.Header().Set("Allow", allow)
		h.failStatus(w, http.StatusMethodNotAllowed, &Error{Code: "bad_field", Field: "method", Message: "only " + allow})
		return
	}
	if h.closing() {
		h.fail(w, ErrShuttingDown)
		return
	}
	user, err := h.whoIs(r)
	if err != nil {
		h.fail(w, err)
		return
	}
	switch {
	case post:
		h.servePost(w, r, user, room)
	case what == "members":
		fields, err := h.membersFields(r.Context(), user, room)
		h.answer(w, http.StatusOK, fields, err)
	default:
		var req wire.Request
		if err := wire.ParseHistory(r.URL.Query(), h.wireLimits, &req); err != nil {
			h.fail(w, fromWire(err))
			return
		}
		req.Room = room
		fields, err := h.historyFields(r.Context(), user, &req)
		h.answer(w, http.StatusOK, fields, err)
	}
}

// servePost is send over HTTP; the room need not be joined.
func (h *Hub) servePost(w http.ResponseWriter, r *http.Request, user User, room string) {
	if !h.trustedOrigin(r.Header.Get("Origin")) {
		if err := h.crossSite.Check(r); err != nil {
			h.log.Warn("chatroom: refused a cross-origin POST; Options.Origins lists who may", "origin", r.Header.Get("Origin"), "host", r.Host)
			h.fail(w, &Error{Code: "forbidden", Message: "cross-origin request"})
			return
		}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if coding := r.Header.Get("Content-Encoding"); err != nil || kind != "application/json" || coding != "" && coding != "identity" {
		h.failStatus(w, http.StatusUnsupportedMediaType, &Error{Code: "bad_field", Field: "Content-Type", Message: "must be application/json, not encoded"})
		return
	}
	// Where the connection has no deadlines, the host's server has to see to it.
	conn := http.NewResponseController(w)
	conn.SetReadDeadline(time.Now().Add(h.opts.Limits.ReadTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.opts.Limits.FrameBytes)))
	if err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			h.fail(w, &Error{Code: "too_long", Message: "the body is too long"})
			return
		}
		h.fail(w, &Error{Code: "bad_json", Message: "the body could not be read"}) // saying nothing would be a 200
		return
	}
	conn.SetReadDeadline(time.Time{}) // or the server would end r.Context with it
	var req wire.Request
	if err := wire.DecodePost(body, h.wireLimits, &req); err != nil {
		h.fail(w, fromWire(err))
		return
	}
	rc, err := h.post(r.Context(), user, room, &req)
	status := http.StatusCreated
	if rc.duplicate {
		status = http.StatusOK
	}
	h.answer(w, status, appendReceipt(nil, rc), err)
}

// post sends and waits for the outcome.
func (h *Hub) post(ctx context.Context, user User, room string, req *wire.Request) (receipt, error) {
	live, err := h.live(ctx, room)
	if err != nil {
		return receipt{}, err
	}
	defer live.release()
	w := waiter{call: make(chan receipt, 1)}
	rc, later, err := live.submit(ctx, user, draftOf(user, req), req.Retry, w)
	if err != nil || !later {
		return rc, err
	}
	return h.outcome(ctx, w)
}

// whoIs authenticates a request.
func (h *Hub) whoIs(r *http.Request) (u User, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("chatroom: a hook failed", "hook", "Authenticate", "error", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			err = errInternal
		}
	}()
	if h.opts.Authenticate != nil {
		u, err = h.opts.Authenticate(r)
		if err == nil {
			if bad := wire.CheckUser(u.ID, u.Name); bad != nil {
				h.log.Error("chatroom: Authenticate returned a user that cannot be used", "field", bad.Field, "error", bad.Message)
				return User{}, errInternal
			}
			return u, nil
		}
	}
	if h.opts.AllowAnonymous {
		return User{ID: "guest-" + randomID(), Name: "Guest"}, nil
	}
	return User{}, errUnauthorized
}

// answer writes a reply as the socket's, without id.
func (h *Hub) answer(w http.ResponseWriter, status int, fields []byte, err error) {
	if err != nil {
		h.fail(w, err)
		return
	}
	writeJSON(w, status, append(append([]byte(`{"ok":true`), fields...), "}\n"...))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

var statusOf = map[string]int{
	"unauthorized": http.StatusUnauthorized, "forbidden": http.StatusForbidden, "not_found": http.StatusNotFound,
	"refused": http.StatusForbidden, "too_long": http.StatusRequestEntityTooLarge, "rate_limited": http.StatusTooManyRequests,
	"key_conflict": http.StatusConflict, "conflict": http.StatusConflict,
	"overloaded": http.StatusServiceUnavailable, "shutting_down": http.StatusServiceUnavailable,
	"store_unavailable": http.StatusServiceUnavailable, "store_failed": http.StatusInternalServerError, "internal": http.StatusInternalServerError,
}

func (h *Hub) fail(w http.ResponseWriter, err error) {
	e := asError(err)
	status, ok := statusOf[e.Code]
	if !ok {
		status = http.StatusBadRequest
	}
	h.failStatus(w, status, e)
}

func (h *Hub) failStatus(w http.ResponseWriter, status int, e *Error) {
	h.stats.refused.Add(1)
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	writeJSON(w, status, append(appendError([]byte(`{"error":`), e), "}\n"...))
}

// checkServer warns about a host's server that a slow request can hold for ever.
func (h *Hub) checkServer(r *http.Request) {
	srv, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if ok && srv.ReadHeaderTimeout == 0 && srv.ReadTimeout == 0 {
		h.log.Warn("chatroom: the http.Server has no ReadHeaderTimeout; a client can hold a connection for ever before it reaches the hub")
	}
}

// clientAddress is what ConnectionsPerIP counts: the rightmost address that is not a
// trusted proxy's, an IPv6 one by its /64 (a home has at least that many).
func (h *Hub) clientAddress(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // a Unix socket, or a test
	}
	addr := at.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.trustedProxy(addr); i-- {
		hop := strings.TrimSpace(hops[i])
		if with, err := netip.ParseAddrPort(hop); err == nil { // some proxies tell the port
			hop = with.Addr().String()
		}
		before, err := netip.ParseAddr(hop)
		if err != nil {
			break
		}
		addr = before.Unmap()
	}
	if addr.Is6() {
		prefix, _ := addr.WithZone("").Prefix(64)
		return prefix.String()
	}
	return addr.String()
}

func (h *Hub) trustedProxy(a netip.Addr) bool {
	for _, p := range h.opts.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// trustedOrigin reports whether Options.Origins has the origin.
func (h *Hub) trustedOrigin(origin string) bool {
	for _, p := range h.opts.Origins {
		scheme, host, _ := strings.Cut(p, "://")
		s, o, ok := strings.Cut(origin, "://")
		if !ok || !strings.EqualFold(s, scheme) || strings.ContainsAny(o, "/?#@") {
			continue
		}
		if strings.EqualFold(o, host) {
			return true
		}
		if tail, ok := strings.CutPrefix(host, "*"); ok && len(o) > len(tail) && strings.EqualFold(o[len(o)-len(tail):], tail) {
			return true
		}
	}
	return false
}

// sameOrigin reports whether a browser's page came from the host it talks to.
// A request without Origin does not come from a browser's page.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && scheme != "" && host != "" && strings.EqualFold(host, r.Host)
}
