package faults

import (
	"slices"
	"time"

	"github.com/chatroom-go/chatroom"
)

// roomView is what a client knows of a room: the messages as it shows them, and
// the stretches of the log it has been through without a break.
type roomView struct {
	room    string
	wanted  bool
	joined  bool
	joining *request
	asked   chatroom.Seq // the after of the join under way; -1 for none
	known   bool         // pos is a position
	pos     chatroom.Seq // the last event handled

	messages map[chatroom.Seq]*shownMessage
	changed  chatroom.Seq // the last edit, delete or reaction the messages show, or the head of the page they are from
	spans    []*span
	final    bool // joined when the client was closed

	own, recent []chatroom.Seq // the last messages, to choose from
}

// recentMost is how many messages a client chooses from.
const recentMost = 30

func remember(list []chatroom.Seq, seq chatroom.Seq) []chatroom.Seq {
	if len(list) >= recentMost {
		list = append(list[:0], list[1:]...)
	}
	return append(list, seq)
}

// shownMessage is a message as a client shows it.
type shownMessage struct {
	text      string
	edited    chatroom.Seq
	deleted   bool
	reactions map[string]map[string]bool // emoji, user
}

// span is a stretch of the log without a break: what the server let the client
// believe is everything after from.
type span struct {
	from     chatroom.Seq
	seen     []chatroom.Seq
	replaced bool // the server told the client to start over: what it saw may be lost
}

func (v *roomView) shown() []chatroom.Seq {
	seqs := make([]chatroom.Seq, 0, len(v.messages))
	for s := range v.messages {
		seqs = append(seqs, s)
	}
	slices.Sort(seqs)
	return seqs
}

func (v *roomView) span() *span { return v.spans[len(v.spans)-1] }

// joinedLocked handles the reply to a join.
func (c *Client) joinedLocked(r *request, f *Frame) {
	v := c.rooms[r.room]
	if v.joining != r {
		return // left or joined again meanwhile
	}
	v.joining = nil
	if f.Error != nil {
		c.checker.refused(f.Error.Code)
		wait := min(time.Duration(max(f.Error.RetryMS, 20))*time.Millisecond, 300*time.Millisecond)
		time.AfterFunc(wait, func() { // ends by itself
			c.mu.Lock()
			defer c.mu.Unlock()
			if v.wanted && !v.joined && v.joining == nil {
				c.joinLocked(v)
			}
		})
		return
	}
	v.joined = true
	if f.Recovered {
		c.recoveredLocked(v, f)
	} else {
		c.replacedLocked(v, f)
	}
	if !v.joined {
		return // had to join again
	}
	for _, o := range c.outbox {
		if o.room == v.room && o.id == "" && !o.waits {
			c.startLocked(o)
		}
	}
}

func (c *Client) recoveredLocked(v *roomView, f *Frame) {
	switch {
	case v.asked < 0:
		c.checker.Report("wrong join", v.room, c.User, "recovered without having asked: head %d", f.Head)
	case f.After > v.asked:
		c.checker.Report("gap", v.room, c.User, "asked to resume after %d, was resumed after %d", v.asked, f.After)
	case f.After < v.asked:
		c.checker.count(func(n *Counts) { n.Lowered++ })
		c.forgetLocked(v, f.After)
		if v.changed > f.After {
			// What an edit or reaction replaced is not known any more: only a page helps.
			defer func() { v.known = false; c.joinLocked(v) }()
		}
	default:
		c.checker.count(func(n *Counts) { n.Resumed++ })
		// What an earlier membership brought after the join was asked for comes again.
		s := v.span()
		for len(s.seen) > 0 && s.seen[len(s.seen)-1] > f.After {
			s.seen = s.seen[:len(s.seen)-1]
		}
	}
	v.pos = f.After
}

// forgetLocked drops everything above a position: the server lost it.
func (c *Client) forgetLocked(v *roomView, after chatroom.Seq) {
	for seq := range v.messages {
		if seq > after {
			delete(v.messages, seq)
		}
	}
	s := v.span()
	for len(s.seen) > 0 && s.seen[len(s.seen)-1] > after {
		s.seen = s.seen[:len(s.seen)-1]
	}
	s.from = min(s.from, after) // below it the page of the join stands for the log
}

// replacedLocked starts over with a page.
func (c *Client) replacedLocked(v *roomView, f *Frame) {
	c.checker.count(func(n *Counts) { n.Pages++ })
	if len(v.spans) > 0 {
		v.span().replaced = true
	}
	v.pos, v.known, v.changed = f.Head, true, f.Head
	v.spans = append(v.spans, &span{from: f.Head})
	v.messages = make(map[chatroom.Seq]*shownMessage)
	last := chatroom.Seq(0)
	for _, m := range f.Messages {
		if m.Seq <= last {
			c.checker.Report("reorder", v.room, c.User, "a page has %d after %d", m.Seq, last)
		}
		last = m.Seq
		s := &shownMessage{text: m.Text, edited: m.Edited, deleted: m.Deleted}
		for _, re := range m.Reactions {
			for _, u := range re.Users {
				s.react(re.Emoji, u, true)
			}
		}
		v.messages[m.Seq] = s
		c.checker.saw(c.User, v.room, m.Seq, identity{"message", m.From.ID, m.Key, 0, "", false}, m.Text)
	}
}

func (s *shownMessage) react(emoji, user string, on bool) {
	if s.reactions == nil {
		s.reactions = make(map[string]map[string]bool)
	}
	if s.reactions[emoji] == nil {
		s.reactions[emoji] = make(map[string]bool)
	}
	if on {
		s.reactions[emoji][user] = true
		return
	}
	delete(s.reactions[emoji], user)
	if len(s.reactions[emoji]) == 0 {
		delete(s.reactions, emoji)
	}
}

// eventLocked handles a numbered event.
func (c *Client) eventLocked(f *Frame) {
	v := c.rooms[f.Room]
	if v == nil || !v.wanted || len(v.spans) == 0 {
		return // left meanwhile
	}
	if !v.joined && v.joining != nil && v.asked < 0 {
		return // a fresh join is under way: its page has this
	}
	c.checker.saw(c.User, v.room, f.Seq, identity{f.Event, f.From.ID, f.Key, f.Target, f.Emoji, f.On}, f.Text)
	switch {
	case v.joining != nil && f.Prev != v.pos:
		return // from a membership that is about to be replaced
	case f.Seq <= v.pos:
		c.checker.Report("reorder", v.room, c.User, "%s %d came when the client was at %d", f.Event, f.Seq, v.pos)
		return
	case f.Prev != v.pos:
		c.checker.Report("gap", v.room, c.User, "%s %d follows %d, the client is at %d", f.Event, f.Seq, f.Prev, v.pos)
		c.joinLocked(v) // as a client has to
		return
	}
	v.pos = f.Seq
	v.span().seen = append(v.span().seen, f.Seq)
	if c.applyLocked(v, f) {
		// An edit, delete or reaction was taken back: what the message was before, only the server knows. That the
		// client did not see it as an event says nothing: the page may have shown it.
		v.known = false
		c.joinLocked(v)
	}
}

// applyLocked changes what the client shows; it reports whether it cannot.
func (c *Client) applyLocked(v *roomView, f *Frame) (unknown bool) {
	m := v.messages[f.Target]
	if f.Event != "message" {
		v.changed = f.Seq
	}
	switch f.Event {
	case "message":
		if v.messages[f.Seq] == nil { // else the page had it
			v.messages[f.Seq] = &shownMessage{text: f.Text}
		}
		v.recent = remember(v.recent, f.Seq)
		if f.From.ID == c.User {
			v.own = remember(v.own, f.Seq)
		}
	case "edit":
		if m != nil && !m.deleted && f.Seq > m.edited {
			m.text, m.edited = f.Text, f.Seq
		}
	case "delete":
		if m != nil {
			*m = shownMessage{deleted: true, edited: m.edited}
		}
	case "react":
		if m != nil && !m.deleted {
			m.react(f.Emoji, f.From.ID, f.On)
		}
	case "retract":
		c.checker.count(func(n *Counts) { n.Retracted++ })
		if m == nil {
			return true // it takes back a change, not a message
		}
		delete(v.messages, f.Target)
	}
	return false
}
