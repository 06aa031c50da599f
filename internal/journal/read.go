package journal

import (
	"fmt"
	"io"
	"os"
	"sort"
)

// Read calls f for the records from index from on, in order: at most max of them, and only until the
// next one would make it more than maxBytes, but one in any case. 0 means no limit. It begins with
// First where from is lower, and ends with the record that is Last when it starts. The record is f's until f returns.
//
// An error of f ends it and is returned as it is. f may call the journal's methods. A
// record that does not check out is not passed; the error wraps ErrCorrupt.
func (j *Journal) Read(from uint64, max int, maxBytes int, f func(index uint64, record []byte) error) error {
	w := walk{next: from, last: j.Last(), max: max, maxBytes: maxBytes, f: f}
	for !w.ended {
		if err := j.readSegment(&w); err != nil {
			return err
		}
	}
	return nil
}

// walk is how far a Read has come.
type walk struct {
	next, last    uint64
	max, maxBytes int
	records, size int // passed so far
	ended         bool
	f             func(index uint64, record []byte) error
}

// readSegment passes what one segment has.
func (j *Journal) readSegment(w *walk) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	w.next = max(w.next, j.trimmed+1)
	if w.next > w.last {
		j.mu.Unlock()
		w.ended = true
		return nil
	}
	at := sort.Search(len(j.segments), func(i int) bool { return j.segments[i].last >= w.next })
	s := j.segments[at] // there is one: w.next is at most Last
	from := s.marks[sort.Search(len(s.marks), func(i int) bool { return s.marks[i].first > w.next })-1]
	size := s.size
	s.readers++
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		s.readers--
		j.mu.Unlock()
	}()

	f, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	return w.read(s, newGroupReader(f, s.seed, from.offset, size, from.first))
}

func (w *walk) read(s *segment, r *groupReader) error {
	for !w.ended {
		err := r.nextGroup()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("journal: %w", s.failed(r, err))
		}
		if r.group.next() <= w.next {
			continue // without reading its records
		}
		if err := w.readGroup(s, r); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) readGroup(s *segment, r *groupReader) error {
	for {
		index, err := r.nextRecord()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("journal: %w", s.failed(r, err))
		case index < w.next:
			continue
		}
		w.size += len(r.record)
		if w.max > 0 && w.records == w.max || w.maxBytes > 0 && w.size > w.maxBytes && w.records > 0 || index > w.last {
			w.ended = true
			return nil
		}
		w.next, w.records = index+1, w.records+1
		if err := w.f(index, r.record); err != nil {
			return err
		}
	}
}
