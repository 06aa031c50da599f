package chatroom

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

// Result codes of SQLite (https://sqlite.org/rescode.html). The low byte of an
// extended code is its primary code.
const (
	codeBusy       = 5
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeTooBig     = 18
	codeConstraint = 19
	codeMismatch   = 20
	codeRange      = 25
	codeNotADB     = 26

	codeIORead      = codeIO | 1<<8
	codeIOShortRead = codeIO | 2<<8
)

// sqliteCode returns the primary and the extended result code of an error, or zeros.
func sqliteCode(err error) (primary, extended int) {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff, e.Code()
	}
	return 0, 0
}

// failed says what was attempted and sorts errors as the contract wants them:
// ctx's own, ErrStoreFull, ErrStoreRefused, or plain. Nil stays nil.
func (s *SQLite) failed(ctx context.Context, attempted string, err error) error {
	if err == nil {
		return nil
	}
	// A query that ctx cut short fails with "interrupted", or with whatever the
	// pool found when it gave the connection up.
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("chatroom: %s: %w (%w)", attempted, ended, err)
	}
	if s.isClosed() && !errors.Is(err, errStoreClosed) {
		return fmt.Errorf("chatroom: %s: %w (%w)", attempted, errStoreClosed, err)
	}
	switch primary, extended := sqliteCode(err); {
	case primary == codeFull, primary == codeIO && extended != codeIORead && extended != codeIOShortRead:
		return fmt.Errorf("%w: %s: %w", ErrStoreFull, attempted, err)
	case primary == codeTooBig, primary == codeConstraint, primary == codeMismatch, primary == codeRange:
		return fmt.Errorf("%w: %s: %w", ErrStoreRefused, attempted, err)
	case primary == codeCorrupt, primary == codeNotADB:
		return fmt.Errorf("chatroom: %s: SQLite store %q is damaged: %w", attempted, s.path, err)
	}
	return fmt.Errorf("chatroom: %s: %w", attempted, err)
}

func (s *SQLite) isClosed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}
