package chatroom

import (
	"errors"
	"strconv"
	"time"
)

// Error is a refusal: what a client reads in an error reply, and what the
// verbs of Room return for the same reasons. Compare with errors.Is against the
// sentinels below, which compares the Code alone.
type Error struct {
	Code       string        // stable, PROTOCOL.md §8
	Message    string        // for people; carries no text, SQL or path
	Field      string        // the field at fault, where there is one
	RetryAfter time.Duration // when to try again; 0 when that would not help
}

// Error is for logs: the code, the field and the message.
func (e *Error) Error() string {
	if e.Field != "" {
		return "chatroom: " + e.Code + ": " + e.Field + ": " + e.Message
	}
	return "chatroom: " + e.Code + ": " + e.Message
}

// Is reports whether target is an *Error with the same Code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Refuse is what Options.BeforeSend returns to refuse a message with a reason
// that its sender sees.
func Refuse(reason string) error { return &Error{Code: "refused", Message: reason} }

// The refusals host code may want to tell apart. Authorize returns ErrForbidden
// or ErrNotFound to say no.
var (
	ErrForbidden        = &Error{Code: "forbidden", Message: "you may not do this here"}
	ErrNotFound         = &Error{Code: "not_found", Message: "there is no such room or message"}
	ErrOverloaded       = &Error{Code: "overloaded", Message: "too much is waiting to be stored", RetryAfter: time.Second}
	ErrKeyConflict      = &Error{Code: "key_conflict", Message: "the key was used for another message"}
	ErrConflict         = &Error{Code: "conflict", Message: "the message was edited meanwhile"}
	ErrStoreFailed      = &Error{Code: "store_failed", Message: "the message could not be kept and was taken back"}
	ErrStoreUnavailable = &Error{Code: "store_unavailable", Message: "the store did not answer in time", RetryAfter: time.Second}
	ErrShuttingDown     = &Error{Code: "shutting_down", Message: "the server is shutting down", RetryAfter: time.Second}
)

// The refusals only clients meet.
var (
	errBadCursor    = &Error{Code: "bad_cursor", Message: "not a position", Field: "seq"}
	errNotJoined    = &Error{Code: "not_joined", Message: "join the room first"}
	errTooManyRooms = &Error{Code: "too_many_rooms", Message: "this connection is in too many rooms"}
	errUnauthorized = &Error{Code: "unauthorized", Message: "not signed in"}
	errInternal     = &Error{Code: "internal", Message: "the server made a mistake; it was logged"}
	errTooMany      = &Error{Code: "overloaded", Message: "too many connections", RetryAfter: 5 * time.Second}
	errRoomsFull    = &Error{Code: "overloaded", Message: "too many rooms are in use", RetryAfter: 5 * time.Second}
	errBusy         = &Error{Code: "overloaded", Message: "too many requests of this connection are waiting", RetryAfter: time.Second}
)

func errRateLimited(what string, after time.Duration) *Error {
	return &Error{Code: "rate_limited", Message: "too many " + what, RetryAfter: after}
}

// asError turns any error into one a client may see.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return errInternal
}

// closeCode is how and why the server closes a connection, PROTOCOL.md §7.
type closeCode struct {
	code   int
	reason string
}

func (c closeCode) after(d time.Duration) closeCode {
	c.reason += " " + strconv.FormatInt(d.Milliseconds(), 10)
	return c
}

var (
	closeGoingAway    = closeCode{1001, "going_away"}
	closeBinary       = closeCode{1003, "binary messages are not used"}
	closeSlow         = closeCode{4000, "slow_consumer"}
	closeReadTimeout  = closeCode{4001, "read_timeout"}
	closeHeartbeat    = closeCode{4002, "heartbeat_timeout"}
	closeOverloaded   = closeCode{4100, "overloaded"}
	closeAbuse        = closeCode{4101, "abuse"}
	closeUnauthorized = closeCode{4500, "unauthorized"}
	closeDisconnected = closeCode{4501, "disconnected"}
	closeVersion      = closeCode{4502, "unsupported_version"}
)
