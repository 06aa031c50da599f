package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// maxKeptBuffer is the biggest buffer Append keeps for the next group: a thousand
// records of 300 bytes take 300 KiB.
const maxKeptBuffer = 1 << 20

// Append adds records, all or none, and returns the index of the first one; the
// others follow without a hole. When it returns nil they are durable. The slices are the caller's
// again on return. Without records it does nothing and returns the next index.
//
// ErrFull comes before anything is written. After any other error the records do not count: the indexes
// are given to the next ones, and what was written is cut off, as far as the disk still
// lets it. A failed fsync leaves no way to know what the disk has of a file, so the next Append
// begins a new one; it succeeds if the disk is well again. Only if the process also ends in between
// can records of a failed Append come back at the next Open.
func (j *Journal) Append(records [][]byte) (first uint64, err error) {
	j.turn.Lock()
	defer j.turn.Unlock()
	if j.isClosed() {
		return 0, ErrClosed
	}
	first = j.last + 1
	if len(records) == 0 {
		return first, nil
	}
	if err := j.append(records); err != nil {
		return 0, fmt.Errorf("journal: append %d records: %w", len(records), err)
	}
	return first, nil
}

// append, like everything in this file, needs the turn: segments, last and sizes
// do not change meanwhile, and may be read without mu.
func (j *Journal) append(records [][]byte) error {
	size, err := groupSize(records)
	if err != nil {
		return err
	}
	if j.Bytes()+size > j.maxBytes {
		if err := j.startOver(); err != nil {
			return err
		}
		if j.Bytes()+size > j.maxBytes {
			return fmt.Errorf("%w: %d bytes are held, %d more would pass Options.MaxBytes", ErrFull, j.Bytes(), size)
		}
	}
	tail := j.tail()
	if j.active != nil && (tail.last < tail.first || tail.size+size <= j.segmentBytes) {
		return j.appendActive(records)
	}
	return j.begin(j.last+1, records)
}

// startOver frees the space of records that are not needed, where the last segment holds nothing else.
func (j *Journal) startOver() error {
	if tail := j.tail(); j.needed() || tail.last < tail.first {
		return nil
	}
	if err := j.begin(j.last+1, nil); err != nil {
		return err
	}
	return j.removeTrimmed()
}

func (j *Journal) needed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trimmed < j.last
}

func (j *Journal) tail() *segment { return j.segments[len(j.segments)-1] }

// appendActive writes a group behind the last one of the active segment.
func (j *Journal) appendActive(records [][]byte) error {
	tail := j.tail()
	size, err := groupSize(records)
	if err != nil {
		return err
	}
	j.build(tail.seed, size, nil, j.last+1, records)
	_, err = j.active.WriteAt(j.buf, tail.size)
	if err == nil {
		err = j.active.Sync()
	}
	if err != nil {
		err = errors.Join(err, j.active.Truncate(tail.size), j.active.Close())
		j.active = nil
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(records) > 0 {
		tail.mark(j.last+1, tail.size)
	}
	tail.size += size
	j.bytes += size
	j.last += uint64(len(records))
	tail.last = j.last
	return nil
}

// build puts head and a group of records into j.buf.
func (j *Journal) build(seed uint32, size int64, head []byte, first uint64, records [][]byte) {
	if cap(j.buf) > maxKeptBuffer {
		j.buf = nil
	}
	j.buf = append(j.buf[:0], head...)
	j.mu.Lock()
	trimmed := j.trimmed
	j.mu.Unlock()
	j.buf = appendGroup(j.buf, seed, size, first, trimmed, records)
}

// begin makes a new active segment that starts with the record first and holds these records. It
// appears under its name only when they are durable. If the last segment
// has no records from before first, the new one takes its place.
func (j *Journal) begin(first uint64, records [][]byte) error {
	if j.active != nil {
		err := j.active.Close()
		j.active = nil
		if err != nil {
			return err
		}
	}
	size, err := groupSize(records)
	if err != nil {
		return err
	}
	var salt [8]byte
	rand.Read(salt[:]) // never fails
	h := segmentHeader{salt: binary.LittleEndian.Uint64(salt[:]), first: first, trimmed: min(j.First(), first) - 1}
	s := &segment{path: segmentPath(j.dir, first), seed: seedOf(h.salt), first: first, last: first - 1 + uint64(len(records))}
	j.build(s.seed, size, appendSegmentHeader(nil, h), first, records)
	s.size = int64(len(j.buf))
	if len(records) > 0 {
		s.mark(first, segmentHeaderSize)
	}
	if err := j.create(s.path, j.buf); err != nil {
		return err
	}
	j.adopt(s)
	// Without it the records are durable all the same; the next Append then begins another segment.
	j.active, _ = j.disk.Write(s.path)
	return nil
}

// create makes a file with this content, durably and at once.
func (j *Journal) create(path string, content []byte) error {
	tmp := path + tmpSuffix
	f, err := j.disk.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, j.disk.Remove(tmp))
	}
	if err := j.disk.Rename(tmp, path); err != nil {
		return errors.Join(err, j.disk.Remove(tmp))
	}
	// A file that may or may not be there after a crash holds what was not
	// acknowledged. The next attempt replaces it: it has the same name.
	return j.disk.SyncDir(j.dir)
}

// adopt makes s the last segment.
func (j *Journal) adopt(s *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.segments); n > 0 && j.segments[n-1].first == s.first {
		j.bytes -= j.segments[n-1].size
		j.segments = j.segments[:n-1]
	}
	j.segments = append(j.segments, s)
	j.bytes += s.size
	j.last = s.last
}

// Trim says that the records up to and including upTo are not needed any more. A lower
// position than before changes nothing; one beyond Last is an error.
//
// It removes the segments that hold nothing else and are not being read. The exact position becomes durable with the next
// Append or Close. A crash before that brings back at most the trimmed records of one segment and of the last Append.
func (j *Journal) Trim(upTo uint64) error {
	j.mu.Lock()
	closed, last := j.closed, j.last
	if !closed && upTo <= last {
		j.trimmed = max(j.trimmed, upTo)
	}
	removable := j.removableLocked() != nil
	j.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case upTo > last:
		return fmt.Errorf("journal: trim to record %d, the last one is %d", upTo, last)
	case !removable:
		return nil
	}
	j.turn.Lock()
	defer j.turn.Unlock()
	if j.isClosed() {
		return ErrClosed
	}
	if err := j.removeTrimmed(); err != nil {
		return fmt.Errorf("journal: trim: %w", err)
	}
	return nil
}

// removableLocked returns the oldest segment if it can go.
func (j *Journal) removableLocked() *segment {
	if s := j.segments[0]; len(j.segments) > 1 && s.last <= j.trimmed && s.readers == 0 {
		return s
	}
	return nil
}

// removeTrimmed removes segments, oldest first and each durably before the next,
// so that a crash never leaves a hole between those that remain.
func (j *Journal) removeTrimmed() error {
	for {
		j.mu.Lock()
		s := j.removableLocked()
		j.mu.Unlock()
		if s == nil {
			return nil
		}
		// No Read begins with s any more: all of it is trimmed.
		if err := j.disk.Remove(s.path); err != nil && !isNotExist(err) {
			return err
		}
		if err := j.disk.SyncDir(j.dir); err != nil {
			return err
		}
		j.mu.Lock()
		j.segments = j.segments[1:]
		j.bytes -= s.size
		j.mu.Unlock()
	}
}
