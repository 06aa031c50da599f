package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// found is a segment as it is on the disk.
type found struct {
	segment
	fileSize int64
	trimmed  uint64 // the highest position noted in it
	// tail is the last whole group of the last segment, if it has records: nothing
	// shows that it was ever synced.
	tail   *groupHeader
	tailAt int64
}

// restore reads the directory. Only when everything is found to be sound does it change anything:
//
// It begins a new segment, so that nothing is ever written behind what a failed fsync of an
// earlier process may have left: such bytes read well until the power goes. For the same
// reason the last group, the only one not known to be synced, is written once more. Each step leaves a
// sound journal if it is the last one.
func (j *Journal) restore() error {
	firsts, leftovers, err := j.list()
	if err != nil {
		return err
	}
	var all []*found
	for i, first := range firsts {
		next := uint64(0)
		if i+1 < len(firsts) {
			next = firsts[i+1]
		}
		s, err := scanFile(segmentPath(j.dir, first), first, next)
		if err != nil {
			return err
		}
		all = append(all, s)
		j.segments = append(j.segments, &s.segment)
		if i == 0 {
			j.trimmed = first - 1 // older segments were removed, hence trimmed
		}
		j.trimmed = max(j.trimmed, s.trimmed)
		j.bytes += s.size // the rest is cut below
		j.last = s.last
	}
	if j.trimmed > j.last {
		return fmt.Errorf("%w: %q: records up to %d are missing, the last one is %d", ErrCorrupt, j.dir, j.trimmed, j.last)
	}
	for _, path := range leftovers {
		if err := j.disk.Remove(path); err != nil {
			return err
		}
	}
	if err := j.beginAnew(all); err != nil {
		return err
	}
	for _, s := range all {
		if err := j.cutRemains(s); err != nil {
			return err
		}
	}
	return j.removeTrimmed()
}

// list returns the first records of the segments, in order, and files that were never finished.
func (j *Journal) list() (firsts []uint64, leftovers []string, err error) {
	entries, err := os.ReadDir(j.dir) // sorted by name, hence by number
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if first, ok := parseSegmentName(e.Name()); ok {
			firsts = append(firsts, first)
		} else if name, ok := strings.CutSuffix(e.Name(), tmpSuffix); ok {
			if _, ok := parseSegmentName(name); ok {
				leftovers = append(leftovers, filepath.Join(j.dir, e.Name()))
			}
		}
	}
	return firsts, leftovers, nil
}

// beginAnew begins the segment for what comes, with a copy of the last group if that is needed.
func (j *Journal) beginAnew(all []*found) error {
	if len(all) == 0 {
		return j.begin(1, nil)
	}
	old := all[len(all)-1]
	if old.tail == nil || old.last <= j.trimmed {
		return j.begin(j.last+1, nil)
	}
	records, err := old.readTail()
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.bytes -= old.size - old.tailAt
	old.size, old.last = old.tailAt, old.tail.first-1
	if n := len(old.marks); old.marks[n-1].offset == old.tailAt {
		old.marks = old.marks[:n-1]
	}
	j.mu.Unlock()
	return j.begin(old.tail.first, records)
}

// readTail returns the records of the last group. They came from one Append, so they fit into memory.
func (s *found) readTail() (records [][]byte, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := newGroupReader(f, s.seed, s.tailAt, s.size, s.tail.first)
	if err := r.nextGroup(); err != nil {
		return nil, s.failed(r, err)
	}
	for {
		_, err := r.nextRecord()
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return nil, s.failed(r, err)
		}
		records = append(records, r.record)
		r.record = nil
	}
}

// cutRemains gives the space back that an unfinished write, or the copied last group, takes in
// an old segment. Only the space: where the next segment begins, this one ends.
func (j *Journal) cutRemains(s *found) error {
	if s.first == j.tail().first || s.fileSize == s.size {
		return nil
	}
	f, err := j.disk.Write(s.path)
	if err != nil {
		return err
	}
	err = f.Truncate(s.size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// scanFile reads and checks a segment. next is where the one behind it begins, 0 if it is the last.
func scanFile(path string, first, next uint64) (*found, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &found{segment: segment{path: path, first: first, last: first - 1}, fileSize: info.Size()}
	var b [segmentHeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); err == io.EOF {
		return nil, s.corrupt(0, defect("it is too short")) // a crash leaves no such file: see Journal.create
	} else if err != nil {
		return nil, err
	}
	h, ok := parseSegmentHeader(b[:])
	if !ok {
		return nil, s.corrupt(0, defect("its header is invalid"))
	}
	if h.first != first {
		return nil, s.corrupt(0, defect("its header is that of another segment"))
	}
	s.seed, s.trimmed, s.size = seedOf(h.salt), h.trimmed, segmentHeaderSize
	if err := s.scan(f, next); err != nil {
		return nil, err
	}
	return s, nil
}

// scan walks through the groups: to the record next, or to the last group that is whole.
func (s *found) scan(f io.ReaderAt, next uint64) error {
	r := newGroupReader(f, s.seed, segmentHeaderSize, s.fileSize, s.first)
	for next == 0 || s.last+1 < next {
		err := s.scanGroup(r)
		var bad defect
		switch {
		case err == nil:
		case err == io.EOF && next == 0:
			return nil
		case err == io.EOF:
			return s.corrupt(r.groupAt, fmt.Errorf("records %d to %d are missing", s.last+1, next-1))
		case errors.As(err, &bad) && next == 0:
			return s.judge(f, r.groupAt, bad)
		default:
			return s.failed(r, err)
		}
	}
	if next != 0 && s.last+1 != next {
		return s.corrupt(r.groupAt, defectOrder)
	}
	s.tail = nil // the next segment was begun when it was durable
	return nil
}

// scanGroup checks the next group and makes it part of s.
func (s *found) scanGroup(r *groupReader) error {
	if err := r.nextGroup(); err != nil {
		return err
	}
	for {
		_, err := r.nextRecord()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	g := r.group
	s.trimmed = max(s.trimmed, g.trimmed)
	s.size, s.last = r.at, g.next()-1
	s.tail = nil
	if g.count > 0 {
		s.mark(g.first, r.groupAt)
		s.tail, s.tailAt = &g, r.groupAt
	}
	return nil
}

// judge decides what an invalid group in the last segment is: the torn end of a
// write, which is dropped, unless a later group shows that it had been synced.
func (s *found) judge(f io.ReaderAt, at int64, bad defect) error {
	in := bufio.NewReaderSize(io.NewSectionReader(f, at+1, s.fileSize-at-1), 64<<10)
	for {
		b, err := in.Peek(groupHeaderSize)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", s.path, err)
		}
		if h, ok := parseGroupHeader(b, s.seed); ok && h.first > s.last {
			return s.corrupt(at, bad)
		}
		if _, err := in.Discard(1); err != nil {
			return err
		}
	}
}

func (s *segment) corrupt(at int64, why error) error {
	return fmt.Errorf("%w: %q at byte %d: %w", ErrCorrupt, s.path, at, why)
}

// failed wraps what a groupReader returned.
func (s *segment) failed(r *groupReader, err error) error {
	var bad defect
	if errors.As(err, &bad) {
		return s.corrupt(r.groupAt, bad)
	}
	return fmt.Errorf("read %q at byte %d: %w", s.path, r.at, unexpected(err))
}
