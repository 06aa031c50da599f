package chatroom

import (
	"cmp"
	"slices"
	"time"

	"github.com/chatroom-go/chatroom/internal/wire"
)

// presence is who is in a room, per user and not per connection. Guarded by
// the room's lock.
type presence struct {
	users   map[string]*presentUser
	version int64    // of the last diff sent
	joined  []string // since then
	left    []string // since then
	leaving []string // users whose last connection went; gone after the grace
	list    []byte   // the member fields of a join reply, until somebody comes or goes
}

type presentUser struct {
	user  User
	conns int
	since time.Duration // when the last connection went
	told  bool          // others know
	typed time.Duration // when typing was last passed on
}

// arriveLocked counts a connection of u in.
func (r *liveRoom) arriveLocked(u User) {
	p := &r.present
	if known := p.users[u.ID]; known != nil {
		known.conns++
		if known.user != u { // renamed since
			known.user, p.list = u, nil
		}
		return
	}
	if p.users == nil {
		p.users = make(map[string]*presentUser)
	}
	p.users[u.ID] = &presentUser{user: u, conns: 1}
	p.joined = append(p.joined, u.ID)
	p.list = nil
	r.hub.attend(r)
}

// departLocked counts a connection out; the user stays for PresenceGrace.
func (r *liveRoom) departLocked(id string) {
	p := &r.present
	u := p.users[id]
	if u.conns--; u.conns == 0 {
		u.since = r.hub.uptime()
		p.leaving = append(p.leaving, id)
		r.hub.attend(r)
	}
}

// tick sends at most one presence diff and drops what only a moment ago needed;
// the hub's sweep calls it once a second for rooms that asked by attend. It
// reports whether to call again.
func (r *liveRoom) tick(now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireLocked(now)
	p := &r.present
	if len(p.joined)+len(p.left) > 0 {
		r.sendPresenceLocked()
	}
	if r.page.body != nil && now-r.page.at > pageCacheFor {
		r.page = pageCache{}
	}
	if r.back.marks != nil && now-r.back.at > pageCacheFor {
		r.back.frames, r.back.marks = nil, nil // somebody may be loading
	}
	return len(p.leaving) > 0 || r.page.body != nil || r.back.marks != nil
}

// expireLocked takes out the users whose grace is over.
func (r *liveRoom) expireLocked(now time.Duration) {
	p := &r.present
	p.leaving = slices.DeleteFunc(p.leaving, func(id string) bool {
		u := p.users[id]
		if u == nil || u.conns > 0 {
			return true // came back
		}
		if now-u.since < r.hub.opts.Limits.PresenceGrace {
			return false
		}
		delete(p.users, id)
		p.list = nil
		r.used = now
		if u.told {
			p.left = append(p.left, id)
		} else {
			p.joined = slices.DeleteFunc(p.joined, func(j string) bool { return j == id })
		}
		return true
	})
}

func (r *liveRoom) sendPresenceLocked() {
	p := &r.present
	p.version++
	p.list = nil
	b := appendText(wire.Begin(nil), `{"event":"presence","room":`, r.name)
	b = appendInt(b, `,"v":`, p.version)
	b = appendInt(b, `,"count":`, int64(len(p.users)))
	named := len(p.users) <= r.hub.opts.Limits.PresenceList
	var joined []User
	for _, id := range p.joined {
		if u := p.users[id]; u != nil {
			u.told = true
			joined = append(joined, u.user)
		}
	}
	if named && len(joined) > 0 {
		b = appendUsers(append(b, `,"join":`...), joined)
	}
	if named && len(p.left) > 0 {
		b = append(b, `,"leave":[`...)
		for i, id := range p.left {
			if i > 0 {
				b = append(b, ',')
			}
			b = wire.AppendString(b, id)
		}
		b = append(b, ']')
	}
	p.joined, p.left = nil, nil
	r.publishLocked(wire.Finish(append(b, '}'), 0), 0)
}

// membersLocked returns the member fields of a reply.
func (r *liveRoom) membersLocked() []byte {
	p := &r.present
	if p.list == nil {
		var b []byte
		if len(p.users) <= r.hub.opts.Limits.PresenceList {
			b = appendUsers(append(b, `,"members":`...), r.usersLocked())
		}
		b = appendInt(b, `,"member_count":`, int64(len(p.users)))
		p.list = appendInt(b, `,"presence_v":`, p.version)
	}
	return p.list
}

// usersLocked returns who is here, by name.
func (r *liveRoom) usersLocked() []User {
	users := make([]User, 0, len(r.present.users))
	for _, u := range r.present.users {
		users = append(users, u.user)
	}
	slices.SortFunc(users, func(a, b User) int {
		return cmp.Or(cmp.Compare(displayName(a), displayName(b)), cmp.Compare(a.ID, b.ID))
	})
	return users
}

// typing tells the room that u is writing, unless it is too big or was told a moment ago.
func (r *liveRoom) typing(u User) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, now := &r.hub.opts.Limits, r.hub.uptime()
	p := r.present.users[u.ID]
	if len(r.present.users) > l.PresenceList || p == nil || p.typed != 0 && now-p.typed < l.TypingEvery {
		return
	}
	p.typed = now
	b := appendText(wire.Begin(nil), `{"event":"typing","room":`, r.name)
	b = appendUser(b, `,"from":`, u)
	r.publishLocked(wire.Finish(append(b, '}'), 0), 0)
}
