package chatroom

import (
	"sort"
	"sync/atomic"
)

const (
	// segmentMin keeps an almost idle room small; segmentMax bounds what a slow
	// cursor holds on to for one unread byte.
	segmentMin = 1 << 10
	segmentMax = 64 << 10
	// resumeWindow is how much of the log a room keeps for clients that come back.
	resumeWindow = 64 << 10
)

// segment is one append-only piece of a room's log. Bytes below published never
// change, so readers take no lock. A segment lives while something points at
// it: the log's tail, a cursor, or the segment before it.
type segment struct {
	base      int64 // position of buf[0] in the log
	buf       []byte
	published atomic.Int64 // how much of buf may be read
	next      atomic.Pointer[segment]
}

// cursor is a reader's place in a room's log, always between two frames.
type cursor struct {
	seg *segment
	off int
}

// pending returns the published bytes from the cursor to the end of its
// segment, stepping to the next one as needed; nil when it has read everything.
func (c *cursor) pending() []byte {
	for c.seg != nil {
		// next before published: what was published before the segment was
		// left is visible then, so nothing can be skipped.
		next := c.seg.next.Load()
		if n := int(c.seg.published.Load()); n > c.off {
			return c.seg.buf[c.off:n]
		}
		if next == nil {
			return nil
		}
		c.seg, c.off = next, 0
	}
	return nil
}

func (c *cursor) advance(n int) { c.off += n }

// lag is how many published bytes lie ahead of the cursor.
func (c *cursor) lag() int {
	if c.seg == nil {
		return 0
	}
	n := int(c.seg.published.Load()) - c.off
	for s := c.seg.next.Load(); s != nil; s = s.next.Load() {
		n += int(s.published.Load())
	}
	return n
}

// mark says where the frame of seq ends.
type mark struct {
	seq Seq
	end int64
}

// roomLog is a room's log of ready frames. Its methods need the room's lock;
// cursors read beside it.
type roomLog struct {
	tail, head *segment
	end        int64  // position behind the last byte
	marks      []mark // of the numbered frames from tail on, in order
}

// start makes an empty log in which the position behind seq is known.
func (l *roomLog) start(seq Seq) {
	s := &segment{}
	*l = roomLog{tail: s, head: s, marks: []mark{{seq, 0}}}
}

// append publishes one frame. seq is 0 for a frame that has none.
func (l *roomLog) append(frame []byte, seq Seq) {
	s := l.head
	n := int(s.published.Load())
	if n+len(frame) > len(s.buf) {
		size := max(min(2*len(s.buf), segmentMax), segmentMin, len(frame))
		fresh := &segment{base: l.end, buf: make([]byte, size)}
		s.next.Store(fresh)
		l.head, s, n = fresh, fresh, 0
	}
	copy(s.buf[n:], frame)
	s.published.Store(int64(n + len(frame)))
	l.end += int64(len(frame))
	if seq != 0 {
		l.marks = append(l.marks, mark{seq, l.end})
	}
	l.trim()
}

// trim lets go of segments beyond the resume window, and of their marks.
func (l *roomLog) trim() {
	trimmed := false
	for l.tail != l.head {
		next := l.tail.next.Load()
		if l.end-next.base < resumeWindow {
			break
		}
		l.tail, trimmed = next, true
	}
	if !trimmed {
		return
	}
	first := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].end >= l.tail.base })
	l.marks = append(l.marks[:0], l.marks[first:]...)
}

// last returns a cursor behind everything.
func (l *roomLog) last() cursor {
	return cursor{l.head, int(l.head.published.Load())}
}

// after returns a cursor behind the frame of seq, if the log still has it.
func (l *roomLog) after(seq Seq) (cursor, bool) {
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].seq >= seq })
	if i == len(l.marks) || l.marks[i].seq != seq {
		return cursor{}, false
	}
	if i == len(l.marks)-1 {
		return l.last(), true // frames without a seq behind it are out of date
	}
	s := l.tail
	for l.marks[i].end > s.base+s.published.Load() {
		s = s.next.Load()
	}
	return cursor{s, int(l.marks[i].end - s.base)}, true
}
