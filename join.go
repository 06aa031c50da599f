package chatroom

import (
	"context"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// join makes c a member of the room and answers request id with the newest
// page (after < 0), or resumes behind the position after.
//
// Nothing can fall between the answer and the live events: under the room's lock
// the member gets its cursor, held back; what came before that is answered; then
// the cursor is released behind the answer.
func (r *liveRoom) join(ctx context.Context, c *conn, id string, after Seq, limit int) error {
	m := &member{room: r, conn: c, held: true}
	if old := c.sock.member(r.name); old != nil {
		r.part(old)
	}
	r.mu.Lock()
	head := r.head
	from, resumed := r.resumeLocked(m, after)
	var here []byte
	ok := c.sock.follow(m)
	if ok {
		r.admitMemberLocked(m)
		here = r.membersLocked()
	}
	r.mu.Unlock()
	if !ok {
		return ErrShuttingDown // nobody is there to read it
	}

	var events, page, mark []byte
	var err error
	if after >= 0 && !resumed {
		events, resumed, err = r.missed(ctx, from, head)
	}
	if err == nil && !resumed {
		if page, head, err = r.newestFor(ctx, m, limit, head); err == nil {
			mark, err = r.hub.unreadFields(ctx, r.name, c.user.ID)
		}
	}
	fields := appendText(nil, `,"room":`, r.name)
	fields = appendInt(fields, `,"head":`, int64(head))
	if resumed {
		fields = appendInt(fields, `,"after":`, int64(from))
		fields = append(append(fields, `,"recovered":true`...), here...)
	} else {
		fields = append(append(fields, `,"recovered":false`...), page...)
		fields = append(append(fields, here...), mark...)
	}
	if err != nil {
		r.part(m)
		return err
	}
	if !c.sock.release(m, append(okFrame(id, fields), events...)) {
		return ErrNotFound // removed by the host: a reply would be taken for a membership
	}
	return nil
}

// newestFor returns the newest page and the head it reaches up to, and moves the held
// member's cursor there from the head it was added at: what is in the page does not come again as
// an event. Only where the room says more meanwhile than its log keeps does the
// cursor stay, and a few messages come twice, which a client knows by their seq (PROTOCOL.md §3).
func (r *liveRoom) newestFor(ctx context.Context, m *member, limit int, added Seq) ([]byte, Seq, error) {
	page, head, err := r.newest(ctx, limit)
	if err != nil {
		return nil, 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	cur, found := r.log.after(head)
	if !found {
		return page, added, nil
	}
	m.conn.sock.seek(m, cur)
	return page, head, nil
}

// resumeLocked sets the member's cursor. It returns the position the member
// really continues from, and whether the log in memory has everything behind it; if not the
// cursor is at the head and the store has to be asked.
func (r *liveRoom) resumeLocked(m *member, after Seq) (from Seq, ok bool) {
	m.cur = r.log.last()
	if after < 0 {
		return 0, false
	}
	if after > r.head {
		after = r.head // beyond it is only what a previous life lost
	} else if after > r.boot && r.born != 0 && after < r.born {
		after = r.boot // likewise
	}
	if cur, found := r.log.after(after); found {
		if cur.lag() <= r.hub.opts.Limits.ResumeBytes {
			m.cur = cur
			return after, true
		}
	}
	return after, false
}

// readMissed reads the events after a position, up to head, as frames, and marks where each
// ends; ok is false when the position is unknown or too far back.
func (r *liveRoom) readMissed(ctx context.Context, from, head Seq) (frames []byte, marks []mark, ok bool, err error) {
	limits := &r.hub.opts.Limits
	ask := from
	if from > 0 {
		ask = from - 1 // so that the event at the position shows that it exists
	}
	events, err := r.since(ctx, ask, limits.ResumeEvents+2)
	if err != nil {
		return nil, nil, false, err
	}
	if from > 0 {
		if len(events) == 0 || events[0].Seq != from {
			return nil, nil, false, nil
		}
		events = events[1:]
	}
	if len(events) > limits.ResumeEvents {
		return nil, nil, false, nil
	}
	marks = append(marks, mark{from, 0})
	for i := range events {
		if events[i].Seq > head {
			break
		}
		start := len(frames)
		frames = appendEvent(wire.Begin(frames), &events[i])
		frames = append(frames[:start], wire.Finish(frames, start)...)
		marks = append(marks, mark{events[i].Seq, int64(len(frames))})
		if len(frames) > limits.ResumeBytes {
			return nil, nil, false, nil
		}
	}
	return frames, marks, true, nil
}

// admitMemberLocked puts m into a shard with room and counts its user in.
func (r *liveRoom) admitMemberLocked(m *member) {
	for _, s := range r.shards {
		if s.size() < shardSize {
			m.shard = s
			break
		}
	}
	if m.shard == nil {
		m.shard = newShard()
		r.shards = append(r.shards, m.shard)
	}
	m.shard.add(m)
	r.arriveLocked(m.conn.user)
	r.refs.Add(1)
	r.hub.stats.members.Add(1)
}

// part ends a membership; only the first call for a member does anything.
func (r *liveRoom) part(m *member) {
	if m.conn.sock.unfollow(m) {
		r.dismiss(m)
	}
}

// dismiss takes out a member whose stream does not follow it any more.
func (r *liveRoom) dismiss(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.shard.remove(m)
	if m.shard.size() == 0 {
		for i, s := range r.shards {
			if s == m.shard {
				r.shards = append(r.shards[:i], r.shards[i+1:]...)
				break
			}
		}
	}
	r.departLocked(m.conn.user.ID)
	r.used = r.hub.uptime()
	r.refs.Add(-1)
	r.hub.stats.members.Add(-1)
}
