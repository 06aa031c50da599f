package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment file is named by its first record, as 20 decimal digits and ".journal", and holds
//
//	header   "chatjnl1", salt (8 bytes), first record, trimmed up to, checksum
//	groups   one for each Append, and one without records for Close
//
// and a group
//
//	header   checksum, bytes that follow, first record, trimmed up to, number of records
//	records  each: checksum, length, the record
//
// with numbers in little-endian order, of 8 bytes for records' indexes and of 4 for the others.
//
// A checksum is CRC-32C over the salt and what it protects; that of a record also covers its
// index, so that a record is never taken for another one. The salt is random and nobody's to know: old blocks of
// another file, or a record made to look like a group, do not pass for a group of this one.
//
// A group is written only when the one before it in its file is durable. Hence a
// group that is followed by another one was acknowledged, and if it is invalid, that
// is damage; an invalid group at the end is what a crash left.
//
// A segment's records end where the next segment begins. What stands
// behind them is the remains of a write that failed, and is not looked at.
const (
	segmentMagic      = "chatjnl1"
	segmentHeaderSize = 8 + 8 + 8 + 8 + 4
	groupHeaderSize   = 4 + 4 + 8 + 8 + 4
	recordHeaderSize  = 4 + 4

	segmentSuffix = ".journal"
	tmpSuffix     = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seedOf is where every checksum of a segment with this salt begins.
func seedOf(salt uint64) uint32 {
	return crc32.Update(0, castagnoli, binary.LittleEndian.AppendUint64(nil, salt))
}

type segmentHeader struct{ salt, first, trimmed uint64 }

func appendSegmentHeader(b []byte, h segmentHeader) []byte {
	at := len(b)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, h.salt)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, h.trimmed)
	return binary.LittleEndian.AppendUint32(b, crc32.Update(seedOf(h.salt), castagnoli, b[at:]))
}

// parseSegmentHeader needs segmentHeaderSize bytes.
func parseSegmentHeader(b []byte) (segmentHeader, bool) {
	h := segmentHeader{
		salt:    binary.LittleEndian.Uint64(b[8:]),
		first:   binary.LittleEndian.Uint64(b[16:]),
		trimmed: binary.LittleEndian.Uint64(b[24:]),
	}
	body := b[:segmentHeaderSize-4]
	sum := crc32.Update(seedOf(h.salt), castagnoli, body)
	return h, string(b[:8]) == segmentMagic && sum == binary.LittleEndian.Uint32(b[len(body):])
}

type groupHeader struct {
	bytes   int64 // of the records that follow
	first   uint64
	trimmed uint64
	count   int
}

// next is the index after the group's last record.
func (h groupHeader) next() uint64 { return h.first + uint64(h.count) }

var errGroupTooLarge = errors.New("more than 4 GiB of records at once")

// groupSize returns how many bytes a group of these records takes.
func groupSize(records [][]byte) (int64, error) {
	n := int64(0)
	for _, r := range records {
		n += recordHeaderSize + int64(len(r))
	}
	if n > math.MaxUint32 {
		return 0, errGroupTooLarge
	}
	return groupHeaderSize + n, nil
}

// appendGroup builds a group; size is what groupSize said.
func appendGroup(b []byte, seed uint32, size int64, first, trimmed uint64, records [][]byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(size-groupHeaderSize))
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, trimmed)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(records)))
	binary.LittleEndian.PutUint32(b[at:], crc32.Update(seed, castagnoli, b[at+4:]))
	for i, r := range records {
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r)))
		b = append(b, r...)
		binary.LittleEndian.PutUint32(b[at:], recordSum(seed, first+uint64(i), b[at+4:]))
	}
	return b
}

// parseGroupHeader needs groupHeaderSize bytes.
func parseGroupHeader(b []byte, seed uint32) (groupHeader, bool) {
	h := groupHeader{
		bytes:   int64(binary.LittleEndian.Uint32(b[4:])),
		first:   binary.LittleEndian.Uint64(b[8:]),
		trimmed: binary.LittleEndian.Uint64(b[16:]),
		count:   int(binary.LittleEndian.Uint32(b[24:])),
	}
	return h, crc32.Update(seed, castagnoli, b[4:groupHeaderSize]) == binary.LittleEndian.Uint32(b)
}

// recordSum is the checksum of a record with its length before it. The index goes into where the sum
// begins, as the salt does: the same bytes at an index that differs in its low half always have another sum.
func recordSum(seed uint32, index uint64, lengthAndRecord ...[]byte) uint32 {
	sum := seed ^ uint32(index) ^ uint32(index>>32)
	for _, b := range lengthAndRecord {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return sum
}

func segmentPath(dir string, first uint64) string {
	digits := strconv.FormatUint(first, 10)
	return filepath.Join(dir, strings.Repeat("0", 20-len(digits))+digits+segmentSuffix)
}

// parseSegmentName reports whether name is that of a segment, and its first record.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}
