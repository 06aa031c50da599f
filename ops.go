package chatroom

import (
	"context"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// operation carries out one request of PROTOCOL.md §4. It returns the fields of
// the reply, or answered when it replied itself or will do so later.
type operation func(c *conn, ctx context.Context, req *wire.Request) (fields []byte, answered bool, err error)

var operations = map[string]operation{
	"join":    (*conn).opJoin,
	"leave":   (*conn).opLeave,
	"send":    (*conn).opSend,
	"edit":    (*conn).opEdit,
	"delete":  (*conn).opDelete,
	"react":   (*conn).opReact,
	"history": (*conn).opHistory,
	"members": (*conn).opMembers,
	"typing":  (*conn).opTyping,
	"read":    (*conn).opRead,
	"ping":    (*conn).opPing,
}

// handle carries out one request. Called by the lane, in order.
func (c *conn) handle(b []byte) {
	var req wire.Request
	if err := wire.Decode(b, c.hub.wireLimits, &req); err != nil {
		switch err.Code {
		case wire.CodeTooLong, wire.CodeEmptyMessage: // people do that
		default:
			c.fault()
		}
		c.reply(req.ID, nil, fromWire(err))
		return
	}
	fields, answered, err := operations[req.Op](c, c.hub.life, &req)
	if err != nil || !answered {
		c.reply(req.ID, fields, err)
	}
}

func fromWire(e *wire.Error) *Error {
	return &Error{Code: e.Code, Message: e.Message, Field: e.Field}
}

func (c *conn) opPing(context.Context, *wire.Request) ([]byte, bool, error) { return nil, false, nil }

func (c *conn) opJoin(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	if wait, ok := c.joins.take(c.hub.uptime(), c.hub.opts.Limits.Joins); !ok {
		return nil, false, errRateLimited("joins", wait)
	}
	if err := c.hub.authorize(ctx, c.user, ActionJoin, req.Room); err != nil {
		return nil, false, err
	}
	if c.sock.member(req.Room) == nil && c.sock.memberships() >= c.hub.opts.Limits.RoomsPerConnection {
		return nil, false, errTooManyRooms
	}
	r, err := c.hub.live(ctx, req.Room)
	if err != nil {
		return nil, false, err
	}
	defer r.release()
	after := Seq(-1)
	if req.HasAfter {
		after = Seq(req.After)
	}
	return nil, true, r.join(ctx, c, req.ID, after, c.hub.pageLimit(req))
}

// joined returns the room of a request that needs membership.
func (c *conn) joined(req *wire.Request) (*liveRoom, error) {
	m := c.sock.member(req.Room)
	if m == nil {
		return nil, errNotJoined
	}
	return m.room, nil
}

func (c *conn) opLeave(_ context.Context, req *wire.Request) ([]byte, bool, error) {
	m := c.sock.member(req.Room)
	if m == nil {
		return nil, false, errNotJoined
	}
	m.room.part(m)
	return nil, false, nil
}

func (c *conn) opSend(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	r, err := c.joined(req)
	if err != nil {
		return nil, false, err
	}
	return c.changed(r.submit(ctx, c.user, draftOf(c.user, req), req.Retry, waiter{conn: c, id: req.ID}))
}

func draftOf(u User, req *wire.Request) Draft {
	return Draft{From: u, Text: req.Text, Data: req.Data, ReplyTo: Seq(req.ReplyTo), Key: req.Key}
}

// changed turns the outcome of a change into a reply, now or later.
func (c *conn) changed(rc receipt, later bool, err error) ([]byte, bool, error) {
	if err != nil || later {
		return nil, later, err
	}
	return appendReceipt(nil, rc), false, nil
}

func (c *conn) opEdit(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	r, err := c.joined(req)
	if err != nil {
		return nil, false, err
	}
	ch := change{kind: EventEdit, by: c.user, target: Seq(req.Seq), text: req.Text, base: -1}
	if req.HasBase {
		ch.base = Seq(req.Base)
	}
	return c.changed(r.submitChange(ctx, ch, waiter{conn: c, id: req.ID}))
}

func (c *conn) opDelete(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	r, err := c.joined(req)
	if err != nil {
		return nil, false, err
	}
	ch := change{kind: EventDelete, by: c.user, target: Seq(req.Seq)}
	return c.changed(r.submitChange(ctx, ch, waiter{conn: c, id: req.ID}))
}

func (c *conn) opReact(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	r, err := c.joined(req)
	if err != nil {
		return nil, false, err
	}
	ch := change{kind: EventReact, by: c.user, target: Seq(req.Seq), emoji: req.Emoji, on: req.On}
	return c.changed(r.submitChange(ctx, ch, waiter{conn: c, id: req.ID}))
}

func (c *conn) opHistory(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	fields, err := c.hub.historyFields(ctx, c.user, req)
	return fields, false, err
}

// historyFields answers history, over the socket and over HTTP.
func (h *Hub) historyFields(ctx context.Context, u User, req *wire.Request) ([]byte, error) {
	if err := h.authorize(ctx, u, ActionHistory, req.Room); err != nil {
		return nil, err
	}
	r, err := h.live(ctx, req.Room)
	if err != nil {
		return nil, err
	}
	defer r.release()
	fields := appendText(nil, `,"room":`, req.Room)
	q := Page{Before: Seq(req.Before), After: Seq(req.After), Around: Seq(req.Around), Limit: h.pageLimit(req)}
	switch {
	case req.HasBefore && q.Before == 0: // nothing is before the beginning
		return append(fields, `,"messages":[],"has_more":false`...), nil
	case req.HasAfter && q.After == 0: // from the beginning; no message is at 1
		q.After = 1
	case req.HasAround && q.Around == 0:
		q.Around = 1
	case q == Page{Limit: q.Limit}:
		body, _, err := r.newest(ctx, q.Limit)
		return append(fields, body...), err
	}
	page, err := r.read(ctx, q)
	if err != nil {
		return nil, err
	}
	return append(fields, page.fields(q)...), nil
}

func (h *Hub) pageLimit(req *wire.Request) int {
	if req.Limit == 0 {
		return h.opts.Limits.Page
	}
	return req.Limit
}

func (c *conn) opMembers(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	fields, err := c.hub.membersFields(ctx, c.user, req.Room)
	return fields, false, err
}

// membersFields answers members, over the socket and over HTTP.
func (h *Hub) membersFields(ctx context.Context, u User, room string) ([]byte, error) {
	if err := h.authorize(ctx, u, ActionMembers, room); err != nil {
		return nil, err
	}
	r, err := h.live(ctx, room)
	if err != nil {
		return nil, err
	}
	defer r.release()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(appendText(nil, `,"room":`, room), r.membersLocked()...), nil
}

func (c *conn) opTyping(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	r, err := c.joined(req)
	if err != nil {
		return nil, false, err
	}
	if err := c.hub.authorize(ctx, c.user, ActionTyping, req.Room); err != nil {
		return nil, false, err
	}
	r.typing(c.user)
	return nil, false, nil
}

func (c *conn) opRead(ctx context.Context, req *wire.Request) ([]byte, bool, error) {
	h := c.hub
	if err := h.authorize(ctx, c.user, ActionRead, req.Room); err != nil {
		return nil, false, err
	}
	r, err := h.live(ctx, req.Room)
	if err != nil {
		return nil, false, err
	}
	defer r.release()
	now, err := r.markRead(ctx, c.user.ID, Seq(req.Seq))
	if err != nil {
		return nil, false, err
	}
	fields := now.appendFields(appendText(nil, `,"room":`, req.Room))
	event := append(wire.Begin(nil), `{"event":"read"`...)
	event = append(append(event, fields...), '}')
	h.tellUser(c.user.ID, c, wire.Finish(event, 0))
	return fields, false, nil
}

// readMark is how far a user has read a room.
type readMark struct {
	at     Seq
	unread int
}

func (m readMark) appendFields(b []byte) []byte {
	return appendInt(appendInt(b, `,"read":`, int64(m.at)), `,"unread":`, int64(m.unread))
}

// unreadFields are the read mark and unread count of a join reply; nothing when
// the store keeps none.
func (h *Hub) unreadFields(ctx context.Context, room, userID string) ([]byte, error) {
	marks, ok := h.opts.Store.(ReadMarker)
	if !ok {
		return nil, nil
	}
	return load(ctx, h, "Unread", func(ctx context.Context) ([]byte, error) {
		mark, unread, err := marks.Unread(ctx, room, userID)
		return readMark{mark, unread}.appendFields(nil), err
	})
}

// markRead moves a user's mark and returns where it is now.
func (r *liveRoom) markRead(ctx context.Context, userID string, seq Seq) (readMark, error) {
	marks, ok := r.hub.opts.Store.(ReadMarker)
	if !ok {
		return readMark{}, ErrNotFound
	}
	r.mu.Lock()
	seq = min(seq, r.head)
	r.mu.Unlock()
	return load(ctx, r.hub, "MarkRead", func(ctx context.Context) (readMark, error) {
		if err := marks.MarkRead(ctx, r.name, userID, seq); err != nil {
			return readMark{}, err
		}
		mark, unread, err := marks.Unread(ctx, r.name, userID)
		return readMark{mark, unread}, err
	})
}
