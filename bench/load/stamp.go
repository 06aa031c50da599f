package load

import (
	"bytes"
	"encoding/binary"
)

// A stamp is how a message is known again when it is delivered or acknowledged:
// a marker that nothing else in a frame contains, the time it was sent and its
// number. It is made of what a request id may be made of (PROTOCOL.md, section 2).
//
//	-_ 16 hex digits of Unix nanoseconds, 8 hex digits of the number
const (
	stampMarker = "-_"
	stampBytes  = len(stampMarker) + 16 + 8
)

// MinText is the smallest text a message can have.
const MinText = stampBytes

// appendStamp appends the stamp of one message.
func appendStamp(b []byte, sent int64, number uint32) []byte {
	b = append(b, stampMarker...)
	b = appendHex(b, uint64(sent), 16)
	return appendHex(b, uint64(number), 8)
}

// appendText appends a text of size bytes that begins with a stamp.
func appendText(b []byte, sent int64, number uint32, size int) []byte {
	b = appendStamp(b, sent, number)
	const words = "the quick brown fox jumps over the lazy dog and ponders about it "
	for left := size - stampBytes; left > 0; {
		n := min(left, len(words))
		b = append(b, words[:n]...)
		left -= n
	}
	return b
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789abcdef"[v>>(4*i)&15])
	}
	return b
}

// findStamp returns where p's stamp begins, looking first where the last one
// was found: within one work nearly all frames have the same layout.
func findStamp(p []byte, hint int) int {
	if hint >= 0 && hint+stampBytes <= len(p) && p[hint] == stampMarker[0] && p[hint+1] == stampMarker[1] {
		return hint
	}
	at := bytes.Index(p, []byte(stampMarker))
	if at < 0 || at+stampBytes > len(p) {
		return -1
	}
	return at
}

// readStamp decodes the stamp at the start of p.
func readStamp(p []byte) (sent int64, number uint32) {
	_ = p[stampBytes-1]
	high := hex8(binary.BigEndian.Uint64(p[2:]))
	low := hex8(binary.BigEndian.Uint64(p[10:]))
	return int64(uint64(high)<<32 | uint64(low)), hex8(binary.BigEndian.Uint64(p[18:]))
}

// hex8 turns eight lower-case hex digits, first digit in the top byte, into
// their value without a loop: this runs once for each of millions of deliveries.
func hex8(w uint64) uint32 {
	letters := w >> 6 & 0x0101010101010101 // 1 where the digit is a to f
	w = w&0x0f0f0f0f0f0f0f0f + letters*9
	w = (w | w>>4) & 0x00ff00ff00ff00ff
	w = (w | w>>8) & 0x0000ffff0000ffff
	return uint32(w | w>>16)
}

// CountTexts counts the texts of messages in b, by their stamps.
func CountTexts(b []byte) int { return bytes.Count(b, []byte(stampMarker)) }
