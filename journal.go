package chatroom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chatroom-go/chatroom/internal/journal"
)

// journalStage stands before the store's writer: it makes batches of accepted
// events durable on this machine's disk, answers those who wait, and passes them on. What
// the store has is trimmed; what is left at the start is replayed first.
// One goroutine, run, appends.
type journalStage struct {
	queue   *writeBehind
	log     *journal.Journal
	highest Seq           // of what the journal held at the start
	wake    chan struct{} // of 1
	done    chan struct{} // closed when run has ended
	caught  chan struct{} // closed when what was left is in the store
}

// journalRecord is an event in the journal.
type journalRecord struct {
	Event
	Digest int64
}

// openJournal opens the journal and looks at what is left in it.
func openJournal(q *writeBehind, dir string) (*journalStage, error) {
	limit := int64(q.hub.opts.Limits.JournalBytes)
	// An event counts 400 bytes beside its text, more than its record's frame; the
	// other half is for text whose quotes are escaped, and for segments that
	// are not trimmed whole.
	log, err := journal.Open(dir, journal.Options{MaxBytes: 2 * limit})
	if err != nil {
		return nil, fmt.Errorf("chatroom: open the journal: %w", err)
	}
	s := &journalStage{queue: q, log: log, wake: make(chan struct{}, 1), done: make(chan struct{}), caught: make(chan struct{})}
	err = s.each(log.First(), -1, func(_ uint64, e Event) { s.highest = max(s.highest, e.Seq) })
	if err != nil {
		log.Close()
		return nil, fmt.Errorf("chatroom: read the journal: %w", err)
	}
	return s, nil
}

// each reads up to max events, all when max is negative.
func (s *journalStage) each(from uint64, most int, f func(index uint64, e Event)) error {
	if most < 0 {
		most = int(s.log.Last() - s.log.First() + 1)
	}
	return s.log.Read(from, most, int(s.queue.hub.opts.Limits.JournalBytes), func(index uint64, record []byte) error {
		var r journalRecord
		if err := json.Unmarshal(record, &r); err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
		r.Event.digest = r.Digest
		f(index, r.Event)
		return nil
	})
}

// run makes events durable; the hub waits for it in Shutdown.
func (s *journalStage) run() {
	defer close(s.done)
	for {
		batch, last := s.queue.take(&s.queue.entered)
		if len(batch) > 0 {
			s.keep(batch)
			s.passOn(batch, false)
			continue
		}
		if last {
			s.passOn(nil, true)
			return
		}
		<-s.wake
	}
}

// keep appends a batch and answers those who wait. When that fails they wait
// for the store instead.
func (s *journalStage) keep(batch []*pending) {
	records := make([][]byte, len(batch))
	for i, p := range batch {
		b, err := json.Marshal(journalRecord{p.event, p.event.Digest()})
		if err != nil {
			s.failed(batch, err)
			return
		}
		records[i] = b
	}
	first, err := s.log.Append(records)
	if err != nil {
		s.failed(batch, err)
		return
	}
	for i, p := range batch {
		p.index = first + uint64(i)
		p.room.kept(p)
	}
}

func (s *journalStage) failed(batch []*pending, err error) {
	h := s.queue.hub
	h.stats.journalErrors.Add(1)
	h.log.Error("chatroom: the journal failed; acks wait for the store", "events", len(batch), "error", err)
}

// kept answers those who wait for p, which is in the journal.
func (r *liveRoom) kept(p *pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.journaled = true
	r.answerLocked(p, receipt{seq: p.event.Seq, journaled: true})
}

// passOn gives a batch to the store's writer; last says that no more comes.
func (s *journalStage) passOn(batch []*pending, last bool) {
	q := s.queue
	q.mu.Lock()
	for _, p := range batch {
		if p.index > 0 {
			q.safe++
		}
	}
	q.waiting = append(q.waiting, batch...)
	q.last = q.last || last
	q.mu.Unlock()
	wake(q.wake)
}

// trim lets go of what the store has.
func (s *journalStage) trim(upTo uint64) {
	if upTo == 0 {
		return
	}
	if err := s.log.Trim(upTo); err != nil && !errors.Is(err, journal.ErrClosed) {
		s.queue.hub.log.Error("chatroom: the journal cannot be trimmed", "error", err)
	}
}

// replay stores what an earlier life left, however long that takes. It reports false
// when it gave up. Called by the store's writer before anything else.
func (s *journalStage) replay() bool {
	for from := s.log.First(); from <= s.log.Last() && s.log.Last() > 0; {
		var batch []*pending
		err := s.each(from, batchMax, func(index uint64, e Event) {
			batch = append(batch, &pending{event: e, index: index})
		})
		if err != nil || len(batch) == 0 {
			s.queue.hub.log.Error("chatroom: the journal cannot be replayed; rooms stay closed", "from", from, "error", err)
			<-s.queue.abort
			return false
		}
		if !s.restore(batch) {
			return false
		}
		from = batch[len(batch)-1].index + 1
		s.trim(from - 1)
	}
	close(s.caught)
	return true
}

// restore is writeBehind.write for events that nobody waits for.
func (s *journalStage) restore(batch []*pending) bool {
	q := s.queue
	events := make([]Event, len(batch))
	for i, p := range batch {
		events[i] = p.event
	}
	_, err := q.persist(events)
	switch {
	case err == nil:
		return true
	case !errors.Is(err, ErrStoreRefused):
		return false
	case len(batch) == 1:
		q.deadLetter(batch[0].event, err)
		return true
	}
	half := len(batch) / 2
	return s.restore(slices.Clone(batch[:half])) && s.restore(slices.Clone(batch[half:]))
}

// close ends the stage, at once if need be: what was not acknowledged may be lost.
func (s *journalStage) close() {
	select {
	case <-s.done:
	case <-time.After(time.Second): // the disk hangs; its goroutine ends with it
	}
	if err := s.log.Close(); err != nil {
		s.queue.hub.log.Error("chatroom: the journal cannot be closed", "error", err)
	}
}

// replayed waits until no event of an earlier life is missing in the store.
func (h *Hub) replayed() error {
	if h.queue.journal == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(h.life, h.opts.Limits.StoreTimeout)
	defer cancel()
	select {
	case <-h.queue.journal.caught:
		return nil
	case <-ctx.Done():
		return ErrStoreUnavailable
	}
}
