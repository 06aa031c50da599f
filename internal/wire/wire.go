// Package wire turns bytes from clients into checked requests and values into
// the bytes that clients get. PROTOCOL.md is its reference; testdata/wire holds
// the frames that it and the browser client are both tested against.
//
// Every function is safe for concurrent use, and each one's time and memory are
// linear in its input, which the caller bounds (PROTOCOL.md §1: 16 KiB a frame).
package wire

// Error is a refusal as the client sees it (PROTOCOL.md §8). Its text is fixed:
// it never repeats what the client sent.
type Error struct {
	Code    string // one of the codes below, or of the hub's own
	Field   string // the offending field; empty when there is none to name
	Message string // short English for people
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Code + ": " + e.Message
	}
	return e.Code + " (" + e.Field + "): " + e.Message
}

// The codes of PROTOCOL.md §8 that this package gives.
const (
	CodeBadJSON      = "bad_json"
	CodeBadField     = "bad_field"
	CodeBadRoomName  = "bad_room_name"
	CodeBadCursor    = "bad_cursor"
	CodeUnknownOp    = "unknown_op"
	CodeTooLong      = "too_long"
	CodeEmptyMessage = "empty_message"
)

// Limits bound what a request may hold. All of them must be positive.
type Limits struct {
	TextBytes int // of text and data together, in bytes
	TextRunes int // of text
	Page      int // the highest limit of a page
}

// MaxSeq is the highest position a client may name: up to it every integer is
// exact in an IEEE double (PROTOCOL.md §3).
const MaxSeq = 1 << 53
