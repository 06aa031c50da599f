package chatroom

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"
)

// pageCacheFor is how long the newest page is kept ready: long enough for a
// crowd that joins at once, after a deploy say.
const pageCacheFor = 5 * time.Second

// pageCache is the encoded newest page of a room; a numbered event ends it.
type pageCache struct {
	head    Seq
	limit   int
	body    []byte
	at      time.Duration
	loading chan struct{} // closed when somebody's load for head and limit ended
}

// history is one page and what lies beyond it.
type history struct {
	messages     []Message
	older, newer bool
}

// fields encodes h for a reply; only the sides that q looked at.
func (h history) fields(q Page) []byte {
	b := appendMessages(nil, h.messages)
	if q.After == 0 || q.Around != 0 {
		b = strconv.AppendBool(append(b, `,"has_more":`...), h.older)
	}
	if q.After != 0 || q.Around != 0 {
		b = strconv.AppendBool(append(b, `,"has_newer":`...), h.newer)
	}
	return b
}

// read returns a page of the room as it stands now: what the store has, and
// what it does not have yet.
func (r *liveRoom) read(ctx context.Context, q Page) (history, error) {
	r.mu.Lock()
	unsaved := r.unsavedLocked()
	if q == (Page{Limit: q.Limit}) {
		q.Before = r.head + 1 // what comes after it comes as events
	}
	r.mu.Unlock()

	ask := q
	ask.Limit++ // to see whether there are more
	if q.Around != 0 {
		ask.Limit++ // on either side
	}
	list, err := load(ctx, r.hub, "Messages", func(ctx context.Context) ([]Message, error) {
		return r.hub.opts.Store.Messages(ctx, r.name, ask)
	})
	if err != nil {
		return history{}, err
	}
	return cut(overlay(list, unsaved, q), q), nil
}

// overlay applies events, which the store may or may not have, to a page of it.
func overlay(list []Message, events []Event, q Page) []Message {
	if len(events) == 0 {
		return list
	}
	// Unsaved events come after everything stored, so that a page in the midst
	// of the stored ones must not be followed by them.
	full := q.After != 0 && len(list) > q.Limit || q.Around != 0 && aboveOf(list, q.Around) > q.Limit/2
	bySeq := func(m Message, s Seq) int { return cmp.Compare(m.Seq, s) }
	for _, e := range events {
		target := e.Target
		if e.Type == EventMessage {
			target = e.Seq
		}
		i, found := slices.BinarySearchFunc(list, target, bySeq)
		switch {
		case e.Type == EventMessage && !found && !full && (q.Before == 0 || e.Seq < q.Before) && e.Seq > q.After:
			list = slices.Insert(list, i, e.Message())
		case e.Type == EventRetract && found:
			list = slices.Delete(list, i, i+1)
		case e.Type != EventMessage && found:
			list[i].apply(e)
		}
	}
	return list
}

func aboveOf(list []Message, s Seq) (n int) {
	for _, m := range list {
		if m.Seq > s {
			n++
		}
	}
	return n
}

// cut brings a list that may be too long down to the page q asks for.
func cut(list []Message, q Page) (h history) {
	low, high := 0, len(list)
	switch {
	case q.Around != 0:
		middle := len(list) - aboveOf(list, q.Around)
		low = max(0, middle-(q.Limit+1)/2)
		high = min(len(list), middle+q.Limit/2)
	case q.After != 0:
		high = min(len(list), q.Limit)
	default:
		low = max(0, len(list)-q.Limit)
	}
	return history{messages: list[low:high], older: low > 0, newer: high < len(list)}
}

// newest returns the encoded newest page and the room's head that it reaches up to.
// A crowd that asks at once costs one read of the store.
func (r *liveRoom) newest(ctx context.Context, limit int) (body []byte, head Seq, err error) {
	for {
		r.mu.Lock()
		c := &r.page
		same := c.head == r.head && c.limit == limit
		if same && c.body != nil {
			defer r.mu.Unlock()
			return c.body, c.head, nil
		}
		if !same || c.loading == nil {
			break
		}
		loading := c.loading
		r.mu.Unlock()
		select {
		case <-loading:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	mine := pageCache{head: r.head, limit: limit, loading: make(chan struct{})}
	r.page = mine
	r.mu.Unlock()

	h, err := r.read(ctx, Page{Before: mine.head + 1, Limit: limit})
	body = h.fields(Page{})

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page.loading == mine.loading {
		r.page = pageCache{}
		if err == nil {
			r.page = pageCache{head: mine.head, limit: limit, body: body, at: r.hub.uptime()}
			r.hub.attend(r)
		}
	}
	close(mine.loading)
	return body, mine.head, err
}

// since returns at most limit events after a position, with Prev set, the
// first one's being after.
func (r *liveRoom) since(ctx context.Context, after Seq, limit int) ([]Event, error) {
	r.mu.Lock()
	unsaved, head := r.unsavedLocked(), r.head
	r.mu.Unlock()
	events, err := load(ctx, r.hub, "Events", func(ctx context.Context) ([]Event, error) {
		return r.hub.opts.Store.Events(ctx, r.name, after, limit)
	})
	if err != nil {
		return nil, err
	}
	for _, e := range unsaved {
		if len(events) == limit {
			break
		}
		if e.Seq > after && (len(events) == 0 || e.Seq > events[len(events)-1].Seq) {
			events = append(events, e)
		}
	}
	prev := after
	for i := range events {
		if events[i].Seq > head { // stored or accepted meanwhile: it comes by the log
			return events[:i], nil
		}
		events[i].Room, events[i].Prev = r.name, prev
		prev = events[i].Seq
	}
	return events, nil
}

// message returns one message as it stands now, or ErrNotFound.
func (r *liveRoom) message(ctx context.Context, seq Seq) (Message, error) {
	h, err := r.read(ctx, Page{Before: seq + 1, Limit: 1})
	if err != nil {
		return Message{}, err
	}
	if n := len(h.messages); n == 0 || h.messages[n-1].Seq != seq || h.messages[n-1].Deleted {
		return Message{}, ErrNotFound
	}
	return h.messages[len(h.messages)-1], nil
}
