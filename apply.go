package chatroom

import (
	"math"
	"slices"
)

// apply brings the message up to date with a later event about it, as a store
// does. Events that change nothing for it, or were applied before, leave it as
// it is; what happens to a deleted message stays in the log. A retract is not
// for apply: the caller drops the message.
//
// It changes Reactions in place, so the message must not share them.
//
// A list of users cut off at MaxReactionUsers does not tell who else reacted.
// Then apply believes the event: somebody who is not listed and reacts counts
// as new, somebody who is not listed and takes a reaction off had one, and a
// place that becomes free in the list stays empty until the next read.
func (m *Message) apply(e Event) { m.applyUpTo(e, MaxReactionUsers) }

// applyInFull is apply for a message that lists every user. It is exact.
func (m *Message) applyInFull(e Event) { m.applyUpTo(e, math.MaxInt) }

func (m *Message) applyUpTo(e Event, maxUsers int) {
	if m.Deleted || e.Target != m.Seq {
		return
	}
	switch e.Type {
	case EventEdit:
		if e.Seq > m.Edited {
			m.Text, m.Edited = e.Text, e.Seq
		}
	case EventDelete:
		m.Text, m.Data, m.Reactions, m.Deleted = "", nil, nil, true
	case EventReact:
		i := slices.IndexFunc(m.Reactions, func(r Reaction) bool { return r.Emoji == e.Emoji })
		switch {
		case e.On && i >= 0:
			m.Reactions[i].add(e.From.ID, maxUsers)
		case e.On && len(m.Reactions) < MaxReactionEmoji:
			m.Reactions = append(m.Reactions, Reaction{Emoji: e.Emoji, Count: 1, Users: []string{e.From.ID}})
		case !e.On && i >= 0:
			m.Reactions[i].remove(e.From.ID)
			if m.Reactions[i].Count == 0 {
				m.Reactions = slices.Delete(m.Reactions, i, i+1)
			}
			if len(m.Reactions) == 0 {
				m.Reactions = nil
			}
		}
	}
}

func (r *Reaction) add(userID string, maxUsers int) {
	if slices.Contains(r.Users, userID) {
		return
	}
	if r.Count == len(r.Users) && r.Count < maxUsers { // nobody is missing from the list
		r.Users = append(r.Users, userID)
	}
	r.Count++
}

func (r *Reaction) remove(userID string) {
	if i := slices.Index(r.Users, userID); i >= 0 {
		r.Users = slices.Delete(r.Users, i, i+1)
		r.Count--
	} else if r.Count > len(r.Users) {
		r.Count--
	}
}
