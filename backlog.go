package chatroom

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// backlog is a stretch of a room's events as frames: read from the store for one
// client that resumed from beyond the log in memory, and kept for pageCacheFor, so
// that a crowd that was away together costs one read. Events never change what came
// before them, so it stays true; it serves nobody who needs what came after it.
type backlog struct {
	frames  []byte
	marks   []mark // where each event's frame ends; the first is the position they begin behind
	at      time.Duration
	loading chan struct{} // closed when a read has ended
}

// between returns the frames behind from, up to head, if the backlog has both positions.
func (b *backlog) between(from, head Seq) (frames []byte, ok bool) {
	at := func(s Seq) int64 {
		i, found := slices.BinarySearchFunc(b.marks, s, func(m mark, s Seq) int { return cmp.Compare(m.seq, s) })
		ok = ok && found
		if !found {
			return 0
		}
		return b.marks[i].end
	}
	ok = true
	start, end := at(from), at(head)
	if !ok || start > end {
		return nil, false
	}
	return b.frames[start:end:end], true
}

// missed returns the events after a position, up to head, as frames; ok is false when
// the position is unknown or too far back. Who finds somebody else reading waits
// for that once, for it may bring the same, and otherwise reads for itself.
func (r *liveRoom) missed(ctx context.Context, from, head Seq) (frames []byte, ok bool, err error) {
	r.mu.Lock()
	frames, ok = r.back.between(from, head)
	loading := r.back.loading
	if !ok && loading == nil {
		mine := make(chan struct{})
		r.back.loading = mine
		r.mu.Unlock()
		return r.keepMissed(ctx, from, head, mine)
	}
	r.mu.Unlock()
	if ok {
		return frames, true, nil
	}
	select {
	case <-loading:
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	r.mu.Lock()
	frames, ok = r.back.between(from, head)
	r.mu.Unlock()
	if ok {
		return frames, true, nil
	}
	frames, _, ok, err = r.readMissed(ctx, from, head)
	return frames, ok, err
}

// keepMissed reads what others may be waiting for, and keeps it.
func (r *liveRoom) keepMissed(ctx context.Context, from, head Seq, loading chan struct{}) (frames []byte, ok bool, err error) {
	frames, marks, ok, err := r.readMissed(ctx, from, head)
	r.mu.Lock()
	defer r.mu.Unlock()
	close(loading)
	r.back.loading = nil
	if ok && err == nil {
		r.back = backlog{frames: frames, marks: marks, at: r.hub.uptime()}
		r.hub.attend(r)
	}
	return frames, ok, err
}
