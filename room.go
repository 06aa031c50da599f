package chatroom

import (
	"context"
	"iter"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// Room is how host code acts in one room. Host code is trusted: Authorize,
// BeforeSend and rate limits are for users; sizes and the queue's limits hold
// for everybody. A Room is a name and costs nothing; it stays valid. Its methods may be called
// concurrently, end with ctx, and after Shutdown return ErrShuttingDown.
type Room struct {
	hub  *Hub
	name string
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// use runs f with the room in memory.
func (r *Room) use(ctx context.Context, f func(*liveRoom) error) error {
	if err := wire.CheckRoom(r.name); err != nil {
		return fromWire(err)
	}
	if r.hub.closing() {
		return ErrShuttingDown
	}
	live, err := r.hub.live(ctx, r.name)
	if err != nil {
		return err
	}
	defer live.release()
	return f(live)
}

// change runs f, which accepts an event, and waits for its receipt. When ctx
// ends first the event may be stored all the same.
func (r *Room) change(ctx context.Context, f func(*liveRoom, waiter) (receipt, bool, error)) (Seq, error) {
	var rc receipt
	err := r.use(ctx, func(live *liveRoom) error {
		w := waiter{call: make(chan receipt, 1)}
		got, later, err := f(live, w)
		if err != nil || !later {
			rc = got
			return err
		}
		rc, err = r.hub.outcome(ctx, w)
		return err
	})
	if err != nil {
		return 0, err
	}
	return rc.seq, nil
}

// outcome waits for the receipt of a call of host code. A Shutdown that gave up
// leaves the outcome unknown.
func (h *Hub) outcome(ctx context.Context, w waiter) (receipt, error) {
	select {
	case rc := <-w.call:
		return rc, rc.err
	case <-ctx.Done():
		return receipt{}, ctx.Err()
	case <-h.stopped:
	}
	select {
	case rc := <-w.call:
		return rc, rc.err
	default:
		return receipt{}, ErrStoreUnavailable
	}
}

// Send posts a message and returns its seq once it is stored (with AckAccepted:
// accepted). A draft whose Key was used before by the same user, with the same body, is not posted
// again; Send returns the first one's seq.
func (r *Room) Send(ctx context.Context, d Draft) (Seq, error) {
	d.Text = wire.CleanText(d.Text)
	if err := r.hub.checkDraft(d); err != nil {
		return 0, err
	}
	return r.change(ctx, func(live *liveRoom, w waiter) (receipt, bool, error) {
		e := eventOf(d)
		if rc, found, err := live.findKey(ctx, e); found || err != nil {
			return rc, false, err
		}
		return live.accept(e, w)
	})
}

func (h *Hub) checkDraft(d Draft) error {
	if err := wire.CheckUser(d.From.ID, d.From.Name); err != nil {
		return fromWire(err)
	}
	if d.Key != "" {
		if err := wire.CheckKey(d.Key); err != nil {
			return fromWire(err)
		}
	}
	if d.ReplyTo < 0 || d.ReplyTo > wire.MaxSeq {
		return errBadCursor
	}
	return h.checkBody(d)
}

// checkBody checks what host code made of a message's text and data.
func (h *Hub) checkBody(d Draft) error {
	if len(d.Data) > 0 {
		if err := wire.CheckData(d.Data); err != nil {
			return fromWire(err)
		}
	}
	if err := wire.CheckText(d.Text, d.Data, h.wireLimits); err != nil {
		return fromWire(err)
	}
	return nil
}

// Edit gives a message a new text, whoever sent it. It returns the seq of the
// change, 0 when that is its text already, and ErrNotFound for a message that is not there.
func (r *Room) Edit(ctx context.Context, by User, message Seq, text string) (Seq, error) {
	return r.submit(ctx, change{kind: EventEdit, by: by, target: message, text: wire.CleanText(text), base: -1})
}

// Delete takes a message's text, data and reactions away, whoever sent it. It
// returns the seq of the change, and ErrNotFound for a message that is not there (any more).
func (r *Room) Delete(ctx context.Context, by User, message Seq) (Seq, error) {
	return r.submit(ctx, change{kind: EventDelete, by: by, target: message})
}

// React puts by's emoji on a message, or with on false takes it off. It returns
// the seq of the change, 0 when nothing changes.
func (r *Room) React(ctx context.Context, by User, message Seq, emoji string, on bool) (Seq, error) {
	if err := wire.CheckEmoji(emoji); err != nil {
		return 0, fromWire(err)
	}
	return r.submit(ctx, change{kind: EventReact, by: by, target: message, emoji: emoji, on: on})
}

func (r *Room) submit(ctx context.Context, ch change) (Seq, error) {
	if err := wire.CheckUser(ch.by.ID, ch.by.Name); err != nil {
		return 0, fromWire(err)
	}
	if ch.target <= 0 || ch.target > wire.MaxSeq {
		return 0, errBadCursor
	}
	return r.change(ctx, func(live *liveRoom, w waiter) (receipt, bool, error) {
		return live.apply(ctx, ch, w, func(Message) error { return nil })
	})
}

// MarkRead moves a user's read mark to seq, never backwards, and returns how many
// messages by others come after it, at most MaxUnread. ErrNotFound when the store is no ReadMarker.
func (r *Room) MarkRead(ctx context.Context, userID string, seq Seq) (unread int, err error) {
	err = r.use(ctx, func(live *liveRoom) error {
		mark, err := live.markRead(ctx, userID, seq)
		unread = mark.unread
		return err
	})
	return unread, err
}

// History returns one page of messages as they stand now, oldest first,
// those not stored yet included. A Limit of 0 means Limits.Page; there is no upper bound.
func (r *Room) History(ctx context.Context, q Page) (messages []Message, err error) {
	if q.Limit == 0 {
		q.Limit = r.hub.opts.Limits.Page
	}
	set := 0
	for _, s := range []Seq{q.Before, q.After, q.Around} {
		if s < 0 {
			return nil, errBadCursor
		}
		if s > 0 {
			set++
		}
	}
	if set > 1 || q.Limit < 0 {
		return nil, &Error{Code: "bad_field", Field: "page", Message: "one of Before, After and Around, and a Limit of at least 1"}
	}
	err = r.use(ctx, func(live *liveRoom) error {
		h, err := live.read(ctx, q)
		messages = h.messages
		return err
	})
	return messages, err
}

// Members returns who is connected to the room now, by name. In a room that nobody
// uses that is nobody.
func (r *Room) Members() []User {
	r.hub.roomsMu.RLock()
	live := r.hub.rooms[r.name]
	r.hub.roomsMu.RUnlock()
	if live == nil {
		return nil
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	return live.usersLocked()
}

// Remove ends a user's memberships in the room, on all connections, at once. Authorize decides
// whether they can come back.
func (r *Room) Remove(userID string) {
	r.hub.removeMember(r.name, userID)
}

// eventsChunk is how many events Events reads at a time.
const eventsChunk = 200

// Events returns the room's events after a position, then the live ones as they
// are accepted, until ctx ends or the hub shuts down. It holds nothing of
// the room up: it reads from the store what it is too slow for. The position of the end is
// LastSeq's; 0 is the beginning. An error, the last value, leaves the position to go on from at the last event.
func (r *Room) Events(ctx context.Context, after Seq) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		err := r.use(ctx, func(live *liveRoom) error {
			for {
				changed := live.watch()
				events, err := live.since(ctx, after, eventsChunk)
				if err != nil {
					return err
				}
				for _, e := range events {
					after = e.Seq
					if !yield(e, nil) {
						return nil
					}
				}
				if len(events) > 0 {
					continue
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return ctx.Err()
				case <-r.hub.stopping:
					return ErrShuttingDown
				}
			}
		})
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// LastSeq returns the position of the room's end.
func (r *Room) LastSeq(ctx context.Context) (last Seq, err error) {
	err = r.use(ctx, func(live *liveRoom) error {
		live.mu.Lock()
		defer live.mu.Unlock()
		last = live.head
		return nil
	})
	return last, err
}

// watch returns a channel that is closed at the room's next event.
func (r *liveRoom) watch() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}
