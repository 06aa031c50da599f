package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chatroom-go/chatroom"
)

// Checker judges a run. Clients tell it what they sent, were told and saw; at the end
// Verify compares all that with what the store holds.
//
// The kinds of violation:
//
//	loss         acknowledged as stored or journaled, and not in the store
//	duplicate    a (sender, key) more than once, or acknowledged under two seqs
//	reorder      an event at or before the reader's position; one sender's messages in another order
//	gap          an event that does not follow the reader's position, or one that a reader never got
//	phantom      seen, neither stored nor retracted nor forgotten on the server's word
//	seq reuse    one seq, two events
//	corrupt      a text that is not what was sent
//	stale        a message that a reader shows otherwise than the store
//	wrong join, bad frame, unasked reply, unanswered
type Checker struct {
	mu         sync.Mutex
	violations []Violation
	kinds      map[string]int
	clients    []*Client
	rooms      map[string]*roomRecord
	sends      map[sendKey]*sendRecord
	order      []*sendRecord
	refusals   map[string]int
	counts     Counts

	events atomic.Int64
}

// Violation is one broken promise.
type Violation struct{ Kind, Room, User, Detail string }

func (v Violation) String() string {
	return fmt.Sprintf("%s: room %q, user %q: %s", v.Kind, v.Room, v.User, v.Detail)
}

// Counts say what a run went through; a run that met nothing proves nothing.
type Counts struct {
	Sends, Acked, Unstored, Duplicates, Failed int // messages; Unstored were acknowledged as neither stored nor journaled
	Journaled                                  int // of Acked: as journaled, not stored yet
	Changes                                    int // acknowledged edits, deletes, reactions
	Events                                     int64
	Resumed, Lowered, Pages                    int // joins: recovered, recovered from a lower position, not recovered
	Retracted                                  int // retract events seen
}

func (n Counts) String() string {
	return fmt.Sprintf("%d sends, %d acked (%d as journaled, %d before they were kept, %d duplicates), %d failed, %d changes, %d events seen, %d resumes, %d from a lower position, %d pages, %d retracts seen",
		n.Sends, n.Acked, n.Journaled, n.Unstored, n.Duplicates, n.Failed, n.Changes, n.Events, n.Resumed, n.Lowered, n.Pages, n.Retracted)
}

// identity is what makes an event the same event wherever it is seen. Its text
// is not part of it: a message shows its latest.
type identity struct {
	kind, from, key string
	target          chatroom.Seq
	emoji           string
	on              bool
}

type roomRecord struct {
	seen    map[chatroom.Seq]identity
	changes map[chatroom.Seq]bool // acknowledged as stored or journaled
}

type sendKey struct{ user, room, key string }

// sendRecord is one message somebody sent.
type sendRecord struct {
	sendKey
	session, attempts int
	acks              int
	seq               chatroom.Seq
	stored            bool // acknowledged so, or as journaled: it has to be there in the end
	duplicate         bool
	failed            string // code of a final refusal
}

// NewChecker returns an empty checker.
func NewChecker() *Checker {
	return &Checker{
		kinds: make(map[string]int), rooms: make(map[string]*roomRecord),
		sends: make(map[sendKey]*sendRecord), refusals: make(map[string]int),
	}
}

// reportsKept is how many violations of a kind are kept in full.
const reportsKept = 10

// Report records a violation.
func (k *Checker) Report(kind, room, user, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reportLocked(kind, room, user, format, args...)
}

func (k *Checker) reportLocked(kind, room, user, format string, args ...any) {
	if k.kinds[kind]++; k.kinds[kind] <= reportsKept {
		k.violations = append(k.violations, Violation{kind, room, user, fmt.Sprintf(format, args...)})
	}
}

// Violations returns what was found, at most reportsKept of a kind, and how many of each kind.
func (k *Checker) Violations() ([]Violation, map[string]int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.violations), maps.Clone(k.kinds)
}

// Counts returns what the run went through so far.
func (k *Checker) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.counts
	n.Events = k.events.Load()
	return n
}

// Refusals returns how often each code was answered to a send or join.
func (k *Checker) Refusals() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.refusals)
}

func (k *Checker) count(f func(*Counts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.counts)
}

func (k *Checker) refused(code string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refusals[code]++
}

func (k *Checker) enroll(c *Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.clients = append(k.clients, c)
}

func (k *Checker) everybody() []*Client {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.clients)
}

func (k *Checker) roomLocked(name string) *roomRecord {
	r := k.rooms[name]
	if r == nil {
		r = &roomRecord{seen: make(map[chatroom.Seq]identity), changes: make(map[chatroom.Seq]bool)}
		k.rooms[name] = r
	}
	return r
}

// sent is called before a message is first sent.
func (k *Checker) sent(user string, r *request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.roomLocked(r.room)
	k.counts.Sends++
	key := sendKey{user, r.room, r.key}
	if k.sends[key] == nil {
		s := &sendRecord{sendKey: key}
		k.sends[key] = s
		k.order = append(k.order, s)
	}
}

func (k *Checker) acked(user string, r *request, f *Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.op != "send" {
		k.counts.Changes++
		if f.Stored || f.Journaled {
			k.roomLocked(r.room).changes[f.Seq] = true
		}
		return
	}
	k.counts.Acked++
	if f.Duplicate {
		k.counts.Duplicates++
	}
	kept := f.Stored || f.Journaled
	if !kept {
		k.counts.Unstored++
	}
	if f.Journaled {
		k.counts.Journaled++
	}
	s := k.sends[sendKey{user, r.room, r.key}]
	if s.acks > 0 && s.seq != f.Seq && s.stored {
		k.reportLocked("duplicate", r.room, user, "key %s was acknowledged at %d and at %d", r.key, s.seq, f.Seq)
	}
	s.acks++
	s.seq, s.stored, s.duplicate = f.Seq, s.stored || kept, s.duplicate || f.Duplicate
	s.session, s.attempts = r.session, s.attempts+r.attempts
}

func (k *Checker) failed(user string, r *request, f *Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counts.Failed++
	k.refusals[f.Error.Code]++
	if s := k.sends[sendKey{user, r.room, r.key}]; s.acks == 0 {
		s.failed = f.Error.Code
	}
}

// saw is called for every numbered event and every message of a page.
func (k *Checker) saw(user, room string, seq chatroom.Seq, id identity, text string) {
	k.events.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.roomLocked(room)
	if first, ok := r.seen[seq]; !ok {
		r.seen[seq] = id
	} else if first != id {
		k.reportLocked("seq reuse", room, user, "%d is %+v and was %+v", seq, id, first)
	}
	if text != "" && !Whole(text) {
		k.reportLocked("corrupt", room, user, "the text of %d: %.80q", seq, text)
	}
}

// Verify compares everything with the store and returns an error that lists the violations. Call it when
// the clients are closed, after Finish.
func (k *Checker) Verify(ctx context.Context, store chatroom.Store) error {
	k.mu.Lock()
	rooms := slices.Sorted(maps.Keys(k.rooms))
	clients := slices.Clone(k.clients)
	k.mu.Unlock()
	held := make(map[string]*holding)
	for _, name := range rooms {
		h, err := hold(ctx, store, name)
		if err != nil {
			return err
		}
		held[name] = h
		k.verifyStore(name, h)
	}
	k.verifySends(held)
	for _, c := range clients {
		k.verifyClient(c, held)
	}
	return k.Err()
}

// Err returns an error that lists the violations, nil when there are none.
func (k *Checker) Err() error {
	violations, kinds := k.Violations()
	if len(violations) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "broken promises %v", kinds)
	for _, v := range violations {
		fmt.Fprintf(&b, "\n\t%s", v)
	}
	return fmt.Errorf("%s", b.String())
}

// holding is what a store holds of a room.
type holding struct {
	log       []chatroom.Event
	events    map[chatroom.Seq]chatroom.Event
	retracted map[chatroom.Seq]bool
	messages  map[chatroom.Seq]chatroom.Message
}

func hold(ctx context.Context, store chatroom.Store, room string) (*holding, error) {
	h := &holding{events: make(map[chatroom.Seq]chatroom.Event), retracted: make(map[chatroom.Seq]bool), messages: make(map[chatroom.Seq]chatroom.Message)}
	for after := chatroom.Seq(0); ; {
		events, err := store.Events(ctx, room, after, 1000)
		if err != nil {
			return nil, fmt.Errorf("reading the log of %q: %w", room, err)
		}
		for _, e := range events {
			h.log = append(h.log, e)
			h.events[e.Seq] = e
			if e.Type == chatroom.EventRetract {
				h.retracted[e.Target] = true
			}
			after = e.Seq
		}
		if len(events) < 1000 {
			break
		}
	}
	for after := chatroom.Seq(1); ; {
		page, err := store.Messages(ctx, room, chatroom.Page{After: after, Limit: 1000})
		if err != nil {
			return nil, fmt.Errorf("reading the messages of %q: %w", room, err)
		}
		for _, m := range page {
			h.messages[m.Seq] = m
			after = m.Seq
		}
		if len(page) < 1000 {
			return h, nil
		}
	}
}

// Last returns the seq of the room's last event.
func (h *holding) last() chatroom.Seq {
	if len(h.log) == 0 {
		return 0
	}
	return h.log[len(h.log)-1].Seq
}

// verifyStore looks at a room's log by itself.
func (k *Checker) verifyStore(room string, h *holding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.rooms[room]
	keys := make(map[sendKey]chatroom.Seq)
	last := chatroom.Seq(0)
	for _, e := range h.log {
		if e.Seq <= last {
			k.reportLocked("reorder", room, "", "the store has %d after %d", e.Seq, last)
		}
		last = e.Seq
		id := identity{string(e.Type), e.From.ID, e.Key, e.Target, e.Emoji, e.On}
		if seen, ok := r.seen[e.Seq]; ok && seen != id {
			k.reportLocked("seq reuse", room, e.From.ID, "%d is %+v in the store and was seen as %+v", e.Seq, id, seen)
		}
		if e.Type != chatroom.EventMessage {
			continue
		}
		if _, ok := h.messages[e.Seq]; !ok {
			k.reportLocked("loss", room, e.From.ID, "message %d is in the log and not among the messages", e.Seq)
		}
		if e.Key == "" {
			continue
		}
		key := sendKey{e.From.ID, room, e.Key}
		if other, ok := keys[key]; ok {
			k.reportLocked("duplicate", room, e.From.ID, "key %s is stored at %d and at %d", e.Key, other, e.Seq)
		}
		keys[key] = e.Seq
	}
	for seq := range r.changes {
		if _, ok := h.events[seq]; !ok {
			k.reportLocked("loss", room, "", "the change %d was acknowledged as kept", seq)
		}
	}
}

// verifySends looks for every acknowledged message.
func (k *Checker) verifySends(held map[string]*holding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	type line struct {
		user, room string
		session    int
	}
	previous := make(map[line]*sendRecord)
	for _, s := range k.order {
		if s.acks == 0 {
			continue
		}
		e, ok := held[s.room].events[s.seq]
		switch {
		case !ok && s.stored:
			k.reportLocked("loss", s.room, s.user, "key %s was acknowledged as kept at %d", s.key, s.seq)
		case ok && (e.From.ID != s.user || e.Key != s.key):
			k.reportLocked("seq reuse", s.room, s.user, "key %s was acknowledged at %d, where the store has %s of %s", s.key, s.seq, e.Key, e.From.ID)
		}
		if s.attempts != 1 || s.acks != 1 || s.duplicate {
			continue // sent again: its place is where it was accepted
		}
		at := line{s.user, s.room, s.session}
		if p := previous[at]; p != nil && p.seq >= s.seq {
			k.reportLocked("reorder", s.room, s.user, "sent %s before %s, and they are at %d and %d", p.key, s.key, p.seq, s.seq)
		}
		previous[at] = s
	}
}

// Lost returns how many messages were acknowledged, with whatever level, and are not in the store.
func (k *Checker) Lost(ctx context.Context, store chatroom.Store) (lost int, err error) {
	k.mu.Lock()
	order := slices.Clone(k.order)
	k.mu.Unlock()
	held := make(map[string]*holding)
	for _, s := range order {
		if s.acks == 0 {
			continue
		}
		h := held[s.room]
		if h == nil {
			if h, err = hold(ctx, store, s.room); err != nil {
				return 0, err
			}
			held[s.room] = h
		}
		if e, ok := h.events[s.seq]; !ok || e.Key != s.key {
			lost++
		}
	}
	return lost, nil
}

// verifyClient compares what a client went through and shows with the store.
func (k *Checker) verifyClient(c *Client, held map[string]*holding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, r := range c.waiting {
		k.Report("unanswered", r.room, c.User, "%s %s", r.op, id)
	}
	for room, v := range c.rooms {
		h := held[room]
		if h == nil {
			continue // nobody sent anything there
		}
		for i, s := range v.spans {
			k.verifySpan(c.User, room, s, h)
			if i == len(v.spans)-1 && v.final && v.pos != h.last() {
				k.Report("gap", room, c.User, "the client is at %d and the room at %d", v.pos, h.last())
			}
		}
		if v.final {
			k.verifyShown(c.User, v, h)
		}
	}
}

// verifySpan: within a stretch without a break a reader got everything, once, and
// nothing else but what was taken back.
func (k *Checker) verifySpan(user, room string, s *span, h *holding) {
	if len(s.seen) == 0 {
		return
	}
	end := s.seen[len(s.seen)-1]
	i, _ := slices.BinarySearchFunc(h.log, s.from+1, func(e chatroom.Event, at chatroom.Seq) int { return int(e.Seq - at) })
	stored := h.log[i:]
	for _, seq := range s.seen {
		for len(stored) > 0 && stored[0].Seq < seq {
			k.Report("gap", room, user, "never got %s %d, though it got %d", stored[0].Type, stored[0].Seq, end)
			stored = stored[1:]
		}
		if len(stored) > 0 && stored[0].Seq == seq {
			stored = stored[1:]
			continue
		}
		if !h.retracted[seq] && !s.replaced {
			k.Report("phantom", room, user, "%d was shown and is not stored", seq)
		}
	}
}

// verifyShown compares the messages on a client's screen with the store's.
func (k *Checker) verifyShown(user string, v *roomView, h *holding) {
	for seq, shown := range v.messages {
		m, ok := h.messages[seq]
		switch {
		case !ok:
			k.Report("phantom", v.room, user, "message %d is shown and not stored", seq)
		case m.Deleted != shown.deleted || m.Text != shown.text:
			k.Report("stale", v.room, user, "message %d is shown as %.40q (deleted %t), and is %.40q (deleted %t)", seq, shown.text, shown.deleted, m.Text, m.Deleted)
		default:
			for _, re := range m.Reactions {
				if re.Count <= chatroom.MaxReactionUsers && len(shown.reactions[re.Emoji]) != re.Count {
					k.Report("stale", v.room, user, "message %d is shown with %d times %s, and has %d", seq, len(shown.reactions[re.Emoji]), re.Emoji, re.Count)
				}
			}
			if len(shown.reactions) != len(m.Reactions) {
				k.Report("stale", v.room, user, "message %d is shown with %d emoji, and has %d", seq, len(shown.reactions), len(m.Reactions))
			}
		}
	}
}
