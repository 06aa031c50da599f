package chatroom

import (
	"bytes"
	"context"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// submit carries out a user's send: authorised, rate-limited, looked up if it
// may have been sent before, filtered, accepted.
func (r *liveRoom) submit(ctx context.Context, u User, d Draft, retry bool, w waiter) (receipt, bool, error) {
	h := r.hub
	if err := h.authorize(ctx, u, ActionSend, r.name); err != nil {
		return receipt{}, false, err
	}
	if err := r.allow(u.ID); err != nil {
		return receipt{}, false, err
	}
	e := eventOf(d)
	if retry {
		if rc, found, err := r.findKey(ctx, e); found || err != nil {
			return rc, false, err
		}
	}
	if h.opts.BeforeSend != nil {
		r.mu.Lock()
		if use, known := r.keys[userKey{u.ID, d.Key}]; known { // not for the filter to refuse any more
			defer r.mu.Unlock()
			return r.againLocked(use, e.Digest(), w)
		}
		r.mu.Unlock()
		filtered, err := r.filter(ctx, d)
		if err != nil {
			return receipt{}, false, err
		}
		if filtered.Text != d.Text || !bytes.Equal(filtered.Data, d.Data) {
			e.digest = e.Digest() // of what was sent: sending it again is the same
			e.Text, e.Data = filtered.Text, filtered.Data
		}
	}
	return r.accept(e, w)
}

func eventOf(d Draft) Event {
	return Event{Type: EventMessage, From: d.From, Text: d.Text, Data: d.Data, ReplyTo: d.ReplyTo, Key: d.Key}
}

// findKey looks in the store for a key that the room does not remember.
func (r *liveRoom) findKey(ctx context.Context, e Event) (receipt, bool, error) {
	r.mu.Lock()
	_, known := r.keys[userKey{e.From.ID, e.Key}]
	r.mu.Unlock()
	finder, ok := r.hub.opts.Store.(KeyFinder)
	if known || !ok || e.Key == "" {
		return receipt{}, false, nil // accept knows the rest
	}
	use, err := load(ctx, r.hub, "FindKey", func(ctx context.Context) (keyUse, error) {
		seq, digest, err := finder.FindKey(ctx, r.name, e.From.ID, e.Key)
		return keyUse{seq: seq, digest: digest}, err
	})
	switch {
	case err != nil || use.seq == 0:
		return receipt{}, false, err
	case use.digest != e.Digest():
		return receipt{}, false, ErrKeyConflict
	}
	return receipt{seq: use.seq, stored: true, duplicate: true}, true, nil
}

// filter runs BeforeSend on a copy and checks what it made of it.
func (r *liveRoom) filter(ctx context.Context, d Draft) (Draft, error) {
	changed, err := ask(ctx, r.hub, "BeforeSend", func(ctx context.Context) (Draft, error) {
		mine := d // a call that is abandoned must not write to what is used
		err := r.hub.opts.BeforeSend(ctx, r.name, &mine)
		return mine, err
	})
	if err != nil {
		return d, err
	}
	changed.From, changed.Key, changed.ReplyTo = d.From, d.Key, d.ReplyTo // not the filter's to change
	return changed, r.hub.checkBody(changed)
}

// change is an edit, delete or react that somebody asks for.
type change struct {
	kind   EventType
	by     User
	target Seq
	text   string // edit
	base   Seq    // edit: the version it is based on; -1 when that is not said
	emoji  string // react
	on     bool   // react
}

var actionOf = map[EventType]Action{EventEdit: ActionEdit, EventDelete: ActionDelete, EventReact: ActionReact}

// submitChange carries out a user's change.
func (r *liveRoom) submitChange(ctx context.Context, ch change, w waiter) (receipt, bool, error) {
	h := r.hub
	if err := h.authorize(ctx, ch.by, actionOf[ch.kind], r.name); err != nil {
		return receipt{}, false, err
	}
	if err := r.allow(ch.by.ID); err != nil {
		return receipt{}, false, err
	}
	if ch.kind == EventEdit && h.opts.BeforeSend != nil {
		d, err := r.filter(ctx, Draft{From: ch.by, Text: ch.text})
		if err != nil {
			return receipt{}, false, err
		}
		ch.text = d.Text
	}
	others := false
	rc, later, err := r.apply(ctx, ch, w, func(m Message) error {
		if others = ch.kind != EventReact && m.From.ID != ch.by.ID; others {
			return ErrForbidden
		}
		return nil
	})
	if !others || ch.kind != EventDelete {
		return rc, later, err
	}
	// Asked here, so that a hook that hangs does not hold up the room's other changes.
	if err := h.authorize(ctx, ch.by, ActionModerate, r.name); err != nil {
		return receipt{}, false, err
	}
	return r.apply(ctx, ch, w, func(Message) error { return nil })
}

// apply checks a change against the message as it stands and accepts it. Changes
// of a room take turns, so that what was checked still holds.
func (r *liveRoom) apply(ctx context.Context, ch change, w waiter, may func(Message) error) (receipt, bool, error) {
	select {
	case r.changes <- struct{}{}:
		defer func() { <-r.changes }()
	case <-ctx.Done():
		return receipt{}, false, ctx.Err()
	}
	m, err := r.message(ctx, ch.target)
	if err == nil {
		err = may(m)
	}
	if err != nil {
		return receipt{}, false, err
	}
	switch ch.kind {
	case EventEdit:
		if ch.base >= 0 && ch.base != m.Edited {
			return receipt{}, false, ErrConflict
		}
		if ch.text == m.Text {
			return receipt{stored: true}, false, nil
		}
		if err := wire.CheckText(ch.text, m.Data, r.hub.wireLimits); err != nil {
			return receipt{}, false, fromWire(err)
		}
	case EventReact:
		if done, err := reactionDone(m, ch); done || err != nil {
			return receipt{stored: true}, false, err
		}
	}
	return r.accept(Event{Type: ch.kind, From: ch.by, Target: ch.target, Text: ch.text, Emoji: ch.emoji, On: ch.on}, w)
}

// reactionDone reports whether m is already as ch wants it.
func reactionDone(m Message, ch change) (bool, error) {
	for _, re := range m.Reactions {
		if re.Emoji != ch.emoji {
			continue
		}
		for _, id := range re.Users {
			if id == ch.by.ID {
				return ch.on, nil
			}
		}
		return !ch.on && re.Count == len(re.Users), nil // beyond the list nobody knows
	}
	if ch.on && len(m.Reactions) >= MaxReactionEmoji {
		return false, &Error{Code: "bad_field", Field: "emoji", Message: "the message has too many different reactions"}
	}
	return !ch.on, nil
}
