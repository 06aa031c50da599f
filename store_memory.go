package chatroom

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
)

// MemoryStore is a Store that keeps everything in memory, for tests and for
// rooms that may be forgotten: "durable" here means until the process ends. It
// grows without bound. It is the contract of Store in plain code.
type MemoryStore struct {
	mu     sync.RWMutex
	rooms  map[string]*memoryRoom // guarded by mu, like all they hold
	maxSeq Seq                    // guarded by mu
}

var (
	_ Store       = (*MemoryStore)(nil)
	_ ReadMarker  = (*MemoryStore)(nil)
	_ KeyFinder   = (*MemoryStore)(nil)
	_ ClockKeeper = (*MemoryStore)(nil)
)

type memoryRoom struct {
	log      []Event    // by seq; Events takes text and data of a message from messages
	messages []*Message // by seq, as they stand now, with every user of a reaction
	keys     map[memoryKey]memorySent
	marks    map[string]Seq // by user ID
}

type memoryKey struct{ userID, key string }

type memorySent struct {
	seq    Seq
	digest int64
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{rooms: map[string]*memoryRoom{}}
}

// Append implements [Store].
func (s *MemoryStore) Append(ctx context.Context, events []Event) ([]AppendResult, error) {
	for _, e := range events {
		if err := e.storable(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("chatroom: append: %w", err)
	}
	results := make([]AppendResult, len(events))
	for i, e := range events {
		e.Prev = 0
		e.Data = cloneData(e.Data)
		results[i] = s.roomLocked(e.Room).append(e)
		if results[i].Seq == e.Seq && e.Seq > s.maxSeq {
			s.maxSeq = e.Seq
		}
	}
	return results, nil
}

// storable tells whether any store could keep the event: its type is known and
// its seq is a position.
func (e Event) storable() error {
	switch e.Type {
	case EventMessage, EventEdit, EventDelete, EventReact, EventRetract:
	default:
		return fmt.Errorf("%w: event %d in room %q has the unknown type %q", ErrStoreRefused, e.Seq, e.Room, e.Type)
	}
	if e.Seq < 1 {
		return fmt.Errorf("%w: %s in room %q has the seq %d, which is no position", ErrStoreRefused, e.Type, e.Room, e.Seq)
	}
	return nil
}

func (s *MemoryStore) roomLocked(name string) *memoryRoom {
	r := s.rooms[name]
	if r == nil {
		r = &memoryRoom{keys: map[memoryKey]memorySent{}, marks: map[string]Seq{}}
		s.rooms[name] = r
	}
	return r
}

func (r *memoryRoom) append(e Event) AppendResult {
	stored := AppendResult{Seq: e.Seq}
	digest := e.Digest()
	e.digest = 0
	at := r.logAbove(e.Seq)
	if at > 0 && r.log[at-1].Seq == e.Seq || r.retracted(e.Seq, at) {
		return stored
	}
	key := memoryKey{e.From.ID, e.Key}
	if e.Type == EventMessage && e.Key != "" {
		if sent, taken := r.keys[key]; taken {
			same := sent.digest == digest
			return AppendResult{Seq: sent.seq, Duplicate: same, Conflict: !same}
		}
		r.keys[key] = memorySent{e.Seq, digest}
	}
	target := r.find(e.Target)
	if e.Type == EventEdit && target != nil && target.Deleted {
		e.Text = ""
	}
	r.log = slices.Insert(r.log, at, e)
	switch {
	case e.Type == EventMessage:
		m := e.Message()
		m.Data = cloneData(m.Data)
		r.messages = slices.Insert(r.messages, r.above(e.Seq), &m)
	case target != nil && e.Type == EventRetract:
		delete(r.keys, memoryKey{target.From.ID, target.Key})
		r.messages = slices.DeleteFunc(r.messages, func(m *Message) bool { return m == target })
		r.log = slices.DeleteFunc(r.log, func(e Event) bool { return e.Seq == target.Seq })
	case target != nil:
		target.applyInFull(e)
		if target.Deleted {
			r.emptyEdits(target.Seq)
		}
	}
	return stored
}

// emptyEdits takes the text out of all edits of a deleted message.
func (r *memoryRoom) emptyEdits(target Seq) {
	for i, e := range r.log {
		if e.Type == EventEdit && e.Target == target {
			r.log[i].Text = ""
		}
	}
}

// retracted tells whether a message that is stored again was taken back since.
func (r *memoryRoom) retracted(seq Seq, at int) bool {
	return slices.ContainsFunc(r.log[at:], func(e Event) bool { return e.Type == EventRetract && e.Target == seq })
}

// above returns the index of the first message with a higher seq.
func (r *memoryRoom) above(seq Seq) int {
	return sort.Search(len(r.messages), func(i int) bool { return r.messages[i].Seq > seq })
}

// logAbove returns the index of the first event with a higher seq.
func (r *memoryRoom) logAbove(seq Seq) int {
	return sort.Search(len(r.log), func(i int) bool { return r.log[i].Seq > seq })
}

// find returns the message with this seq, or nil.
func (r *memoryRoom) find(seq Seq) *Message {
	if i := r.above(seq); i > 0 && r.messages[i-1].Seq == seq {
		return r.messages[i-1]
	}
	return nil
}

// Messages implements [Store].
func (s *MemoryStore) Messages(ctx context.Context, room string, q Page) ([]Message, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("chatroom: read messages: %w", err)
	}
	r := s.rooms[room]
	if r == nil || q.Limit < 1 {
		return nil, nil
	}
	var from, to int // the page, as indexes
	switch {
	case q.Before == 0 && q.After != 0:
		from = r.above(q.After)
		to = from + min(q.Limit, len(r.messages)-from)
	case q.Before == 0 && q.Around != 0:
		above := r.above(q.Around)
		from = max(0, above-(q.Limit-q.Limit/2))
		to = above + min(q.Limit/2, len(r.messages)-above)
	default:
		to = len(r.messages)
		if q.Before != 0 {
			to = r.above(q.Before - 1)
		}
		from = max(0, to-q.Limit)
	}
	page := make([]Message, 0, to-from)
	for _, m := range r.messages[from:to] {
		page = append(page, m.forReader())
	}
	return page, nil
}

// forReader returns a copy that shares nothing with m and lists at most
// MaxReactionUsers.
func (m *Message) forReader() Message {
	c := *m
	c.Data = cloneData(m.Data)
	c.Reactions = slices.Clone(m.Reactions)
	for i, r := range c.Reactions {
		c.Reactions[i].Users = slices.Clone(r.Users[:min(len(r.Users), MaxReactionUsers)])
	}
	return c
}

// Events implements [Store].
func (s *MemoryStore) Events(ctx context.Context, room string, after Seq, limit int) ([]Event, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("chatroom: read events: %w", err)
	}
	r := s.rooms[room]
	if r == nil || limit < 1 {
		return nil, nil
	}
	from := r.logAbove(after)
	events := slices.Clone(r.log[from : from+min(limit, len(r.log)-from)])
	for i, e := range events {
		if e.Type == EventMessage {
			m := r.find(e.Seq)
			events[i].Text, events[i].Data = m.Text, cloneData(m.Data)
		}
	}
	return events, nil
}

// LastSeq implements [Store].
func (s *MemoryStore) LastSeq(ctx context.Context, room string) (Seq, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("chatroom: read last seq: %w", err)
	}
	r := s.rooms[room]
	if r == nil || len(r.log) == 0 {
		return 0, nil
	}
	return r.log[len(r.log)-1].Seq, nil
}

// MarkRead implements [ReadMarker].
func (s *MemoryStore) MarkRead(ctx context.Context, room, userID string, seq Seq) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("chatroom: mark read: %w", err)
	}
	r := s.roomLocked(room)
	r.marks[userID] = max(r.marks[userID], seq)
	return nil
}

// Unread implements [ReadMarker].
func (s *MemoryStore) Unread(ctx context.Context, room, userID string) (mark Seq, unread int, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return 0, 0, fmt.Errorf("chatroom: count unread: %w", err)
	}
	r := s.rooms[room]
	if r == nil {
		return 0, 0, nil
	}
	mark = r.marks[userID]
	for _, m := range r.messages[r.above(mark):] {
		if m.From.ID != userID && !m.Deleted && unread < MaxUnread {
			unread++
		}
	}
	return mark, unread, nil
}

// FindKey implements [KeyFinder].
func (s *MemoryStore) FindKey(ctx context.Context, room, userID, key string) (seq Seq, digest int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return 0, 0, fmt.Errorf("chatroom: find key: %w", err)
	}
	if r := s.rooms[room]; r != nil {
		sent := r.keys[memoryKey{userID, key}]
		return sent.seq, sent.digest, nil
	}
	return 0, 0, nil
}

// MaxSeq implements [ClockKeeper].
func (s *MemoryStore) MaxSeq(ctx context.Context) (Seq, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("chatroom: read highest seq: %w", err)
	}
	return s.maxSeq, nil
}

// cloneData copies data, and makes no data nil.
func cloneData[T ~[]byte](data T) T {
	if len(data) == 0 {
		return nil
	}
	return slices.Clone(data)
}
