package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
)

// defect says what is wrong with a group. It is not an I/O error: the bytes were read.
type defect string

func (d defect) Error() string { return string(d) }

const (
	defectCut      defect = "it ends within a group of records"
	defectHeader   defect = "the header of a group is invalid"
	defectChecksum defect = "the checksum of a record is wrong"
	defectLength   defect = "the length of a record is wrong"
	defectOrder    defect = "a group of other records is in this place"
)

// groupReader walks through the groups of a segment between two offsets. It
// never holds more than one record, and no length it reads makes it
// allocate more than the file has.
type groupReader struct {
	in   *bufio.Reader
	seed uint32
	at   int64 // of the next byte
	end  int64

	group   groupHeader
	groupAt int64
	left    int64  // bytes of the group not read yet
	next    uint64 // the next record's index
	record  []byte
	head    [groupHeaderSize]byte // of a group or, shorter, of a record
}

// newGroupReader reads from a group's header on, which is to begin with the record first.
func newGroupReader(f io.ReaderAt, seed uint32, from, end int64, first uint64) *groupReader {
	in := bufio.NewReaderSize(io.NewSectionReader(f, from, end-from), 64<<10)
	return &groupReader{in: in, seed: seed, at: from, end: end, group: groupHeader{first: first}}
}

// nextGroup reads the header of the next group, skipping what was not read of
// the one before. It returns io.EOF at the end.
func (r *groupReader) nextGroup() error {
	if _, err := io.CopyN(io.Discard, r.in, r.left); err != nil {
		return unexpected(err)
	}
	r.at += r.left
	r.groupAt, r.left, r.next = r.at, 0, r.group.next()
	if r.at == r.end {
		return io.EOF
	}
	if r.end-r.at < groupHeaderSize {
		return defectCut
	}
	if _, err := io.ReadFull(r.in, r.head[:]); err != nil {
		return unexpected(err)
	}
	r.at += groupHeaderSize
	h, ok := parseGroupHeader(r.head[:], r.seed)
	switch {
	case !ok:
		return defectHeader
	case h.first != r.next:
		return defectOrder
	case h.bytes > r.end-r.at:
		return defectCut
	case h.bytes < int64(h.count)*recordHeaderSize:
		return defectLength
	}
	r.group, r.left = h, h.bytes
	return nil
}

// nextRecord reads the next record of the group into r.record, which lasts until
// the next call. It returns io.EOF behind the last one.
func (r *groupReader) nextRecord() (index uint64, err error) {
	if r.next == r.group.next() {
		if r.left != 0 {
			return 0, defectLength
		}
		return 0, io.EOF
	}
	if r.left < recordHeaderSize {
		return 0, defectLength
	}
	b := r.head[:recordHeaderSize]
	if _, err := io.ReadFull(r.in, b); err != nil {
		return 0, unexpected(err)
	}
	r.at += recordHeaderSize
	r.left -= recordHeaderSize
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if size > r.left {
		return 0, defectLength
	}
	if int64(cap(r.record)) < size {
		r.record = make([]byte, size)
	}
	r.record = r.record[:size]
	if _, err := io.ReadFull(r.in, r.record); err != nil {
		return 0, unexpected(err)
	}
	r.at += size
	r.left -= size
	if recordSum(r.seed, r.next, b[4:], r.record) != binary.LittleEndian.Uint32(b) {
		return 0, defectChecksum
	}
	r.next++
	return r.next - 1, nil
}

// unexpected is for reads within the bounds of the file: an end there is a file that was cut meanwhile.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
