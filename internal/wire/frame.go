package wire

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// The opcodes a server sends (RFC 6455 §5.2). Text is the only data.
const (
	OpText  = 0x1
	OpClose = 0x8
	OpPing  = 0x9
	OpPong  = 0xA
)

// MaxHeader is the length of the longest header of an unmasked frame: two
// bytes and a 64-bit length.
const MaxHeader = 10

const (
	finBit = 0x80
	len16  = 126 // a 16-bit length follows
	len64  = 127 // a 64-bit length follows

	// maxReason is what a control frame's 125 bytes leave beside the code.
	maxReason = 123
)

// AppendHeader appends the header of an unmasked, unfragmented frame with a
// payload of the given number of bytes.
func AppendHeader(dst []byte, opcode byte, payload int) []byte {
	dst = append(dst, finBit|opcode)
	switch {
	case payload < len16:
		return append(dst, byte(payload))
	case payload <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, len16), uint16(payload))
	default:
		return binary.BigEndian.AppendUint64(append(dst, len64), uint64(payload))
	}
}

// AppendClose appends a whole close frame. The reason is cut at 123 bytes,
// between runes.
func AppendClose(dst []byte, code int, reason string) []byte {
	reason = strings.ToValidUTF8(reason, "\uFFFD") // RFC 6455 §5.5.1
	if len(reason) > maxReason {
		end := maxReason
		for !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = AppendHeader(dst, OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// Begin appends room for a header, so that a payload can be built behind it
// before its length is known. Finish completes the frame.
func Begin(dst []byte) []byte {
	var room [MaxHeader]byte
	return append(dst, room[:]...)
}

// Finish makes b[start:], which Begin and then the payload filled, a text
// frame, and returns it. The frame is a part of b, whose unused bytes before
// it are no part of the result.
func Finish(b []byte, start int) []byte {
	payload := len(b) - start - MaxHeader
	var header [MaxHeader]byte
	h := AppendHeader(header[:0], OpText, payload)
	at := start + MaxHeader - len(h)
	copy(b[at:], h)
	return b[at:]
}
