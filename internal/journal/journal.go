// Package journal keeps records on the local disk until somebody else has them.
//
// A [Journal] is a sequence of opaque records in segment files of one directory,
// numbered from 1 without holes. Append adds a group of records with one fsync, Trim
// gives up the oldest ones, Read walks through the rest. What Append acknowledged is
// there after kill -9 and power loss, on a disk that honours a flush.
//
// format.go describes the files, recover.go what Open makes of them after a crash.
package journal

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// Options bounds a journal.
type Options struct {
	// MaxBytes is how much disk the records and their frames may take, at least 1 KiB.
	// Past it Append answers ErrFull. Records are freed by whole segments, so up to one segment of it may be
	// held by records that were trimmed. While Open or Append starts a new segment, it may
	// be passed by one group of records. Default: 1 GiB.
	MaxBytes int64
	// SegmentBytes is how big a file gets before the next one is begun; a single group may
	// make it bigger. It is lowered to a quarter of MaxBytes. Default: 16 MiB.
	SegmentBytes int64
}

const (
	defaultMaxBytes     = 1 << 30
	defaultSegmentBytes = 16 << 20
	minMaxBytes         = 1 << 10
)

var (
	// ErrFull is wrapped by Append when the records would pass Options.MaxBytes. Nothing was written.
	ErrFull = errors.New("the journal is full")
	// ErrCorrupt is wrapped by Open and Read when a record that had been acknowledged can not be
	// had back as it was. The text names the file and the offset. Nothing is repaired, skipped or overwritten.
	ErrCorrupt = errors.New("the journal is damaged")
	// ErrLocked is wrapped by Open when the directory is in use, in this process or another.
	ErrLocked = errors.New("the journal is in use")
	// ErrClosed is what every method that returns an error answers after Close.
	ErrClosed = errors.New("the journal is closed")
)

// Journal is an open journal. Its methods may be called concurrently: Append, Trim and Close take turns,
// Read, First, Last and Bytes go on beside them.
type Journal struct {
	dir          string
	disk         disk
	lock         io.Closer
	maxBytes     int64 // less what new segments and Close need
	segmentBytes int64

	// turn is held by whoever changes files, also during the fsync; it is taken before mu.
	turn     sync.Mutex
	active   file   // the last segment, for writing; nil when the next Append has to begin a new one
	buf      []byte // for building groups
	closeErr error

	// mu guards the rest and is never held across I/O.
	mu       sync.Mutex
	closed   bool
	segments []*segment // oldest first, never empty
	trimmed  uint64     // records up to this one are not needed
	last     uint64
	bytes    int64 // the sum of the segments' sizes
}

// segment is one file. Its records are first to last.
type segment struct {
	path  string
	seed  uint32
	first uint64

	// Guarded by Journal.mu.
	last    uint64 // first-1 when there is none
	size    int64  // what is durable; there may be the remains of a failed write behind it
	marks   []mark // where to begin looking for a record
	readers int    // Reads that have the file open; it is not removed meanwhile
}

// mark says that a group begins at offset, with record first.
type mark struct {
	first  uint64
	offset int64
}

// markEvery is how far marks are apart: 4 KiB of memory for a segment of 16 MiB, and a
// Read skips 64 KiB at most before it finds the group to begin with.
const markEvery = 64 << 10

func (s *segment) mark(first uint64, offset int64) {
	if n := len(s.marks); n == 0 || offset-s.marks[n-1].offset >= markEvery {
		s.marks = append(s.marks, mark{first, offset})
	}
}

// Open opens the journal in dir, which is created with mode 0700 when there is none; its
// parent has to exist. Groups that a crash left unfinished, and that Append therefore never
// acknowledged, are dropped; any other damage is ErrCorrupt. The whole journal is read and checked.
//
// The directory is locked until Close or the end of the process, however that comes. Its files are mode 0600.
// It belongs on a local disk.
func Open(dir string, opts Options) (*Journal, error) { return open(dir, opts, osDisk{}) }

func open(dir string, opts Options, d disk) (*Journal, error) {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.SegmentBytes == 0 {
		opts.SegmentBytes = defaultSegmentBytes
	}
	switch {
	case opts.MaxBytes < minMaxBytes:
		return nil, fmt.Errorf("journal: Options.MaxBytes is %d, must be at least %d", opts.MaxBytes, minMaxBytes)
	case opts.SegmentBytes < 0:
		return nil, fmt.Errorf("journal: Options.SegmentBytes is %d, must not be negative", opts.SegmentBytes)
	}
	j := &Journal{
		dir:          dir,
		disk:         d,
		maxBytes:     opts.MaxBytes - 2*segmentHeaderSize - groupHeaderSize,
		segmentBytes: min(opts.SegmentBytes, opts.MaxBytes/4),
	}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("journal: open %q: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open() (err error) {
	if err := j.disk.Mkdir(j.dir); err != nil {
		return err
	}
	if j.lock, err = lockDir(j.dir); err != nil {
		return err
	}
	if err := j.restore(); err != nil {
		errs := []error{err}
		if j.active != nil {
			errs = append(errs, j.active.Close())
		}
		return errors.Join(append(errs, j.lock.Close())...)
	}
	return nil
}

// First returns the index of the oldest record that was not trimmed: Last()+1 when there is none.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trimmed + 1
}

// Last returns the index of the newest durable record, trimmed or not; 0 before the first one.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Bytes returns how much of Options.MaxBytes is taken.
func (j *Journal) Bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes
}

// Close waits for the Append that is going on, notes what was trimmed, so that the next Open
// starts exactly there, and gives the lock back. Reads still going on may fail. Closing again
// returns what the first Close did. Nothing that was acknowledged depends on it.
func (j *Journal) Close() error {
	j.turn.Lock()
	defer j.turn.Unlock()
	if j.isClosed() {
		return j.closeErr
	}
	var errs []error
	if j.active != nil {
		errs = append(errs, j.appendActive(nil))
	}
	if j.active != nil {
		errs = append(errs, j.active.Close())
	}
	errs = append(errs, j.lock.Close())
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		j.closeErr = fmt.Errorf("journal: close %q: %w", j.dir, err)
	}
	j.active, j.buf = nil, nil
	return j.closeErr
}

func (j *Journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}
