package journal

// What the tests see of the inside.
type (
	Disk   = disk
	File   = file
	OSDisk = osDisk
)

const (
	SegmentHeaderSize = segmentHeaderSize
	GroupHeaderSize   = groupHeaderSize
	RecordHeaderSize  = recordHeaderSize
)

func OpenOn(dir string, opts Options, d Disk) (*Journal, error) { return open(dir, opts, d) }

// Kill leaves the journal as the end of the process does.
func (j *Journal) Kill() {
	if j.active != nil {
		j.active.Close()
	}
	j.lock.Close()
}

// ForgedSegment makes body a segment with a valid header.
func ForgedSegment(salt uint64, body []byte) []byte {
	return append(appendSegmentHeader(nil, segmentHeader{salt: salt, first: 1}), body...)
}

// ForgedGroup makes a valid group that begins with the record first.
func ForgedGroup(salt, first uint64, records ...[]byte) []byte {
	size, err := groupSize(records)
	if err != nil {
		panic(err)
	}
	return appendGroup(nil, seedOf(salt), size, first, 0, records)
}

// ForgedGroupHeader makes a group header that promises bytes and count.
func ForgedGroupHeader(salt, first uint64, bytes int64, count int) []byte {
	records := make([][]byte, count)
	return appendGroup(nil, seedOf(salt), bytes+groupHeaderSize, first, 0, records)[:groupHeaderSize]
}
