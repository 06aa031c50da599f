package chatroom

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// The reading statements. Each is one walk along a primary key from where the
// answer begins, with a limit; none sorts. ?1 is always the room's name.
const (
	sqlRoom = `(SELECT id FROM room WHERE name = ?1)`

	sqlMessage = `SELECT seq, user_id, user_name, text, data, reply_to, key, edited, deleted, reacted FROM message WHERE room = ` + sqlRoom
	sqlBefore  = sqlMessage + ` AND seq < ?2 ORDER BY seq DESC LIMIT ?3`
	sqlNewest  = sqlMessage + ` ORDER BY seq DESC LIMIT ?2`
	sqlAfter   = sqlMessage + ` AND seq > ?2 ORDER BY seq LIMIT ?3`
	sqlAround  = `SELECT * FROM (` + sqlMessage + ` AND seq <= ?2 ORDER BY seq DESC LIMIT ?3) UNION ALL ` +
		`SELECT * FROM (` + sqlMessage + ` AND seq > ?2 ORDER BY seq LIMIT ?4)`

	// The reactions of a page, which is all messages from ?2 to ?3. Of an emoji
	// with more than ?4 users only the first ?4 are read.
	sqlReactions = `SELECT r.target, r.emoji, r.count, u.user_id
		FROM reaction r CROSS JOIN reactor u ON u.room = r.room AND u.target = r.target AND u.since = r.since
			AND u.seq <= CASE WHEN r.count <= ?4 THEN 9223372036854775807 ELSE
				(SELECT seq FROM reactor v WHERE v.room = r.room AND v.target = r.target AND v.since = r.since ORDER BY seq LIMIT 1 OFFSET ?4 - 1) END
		WHERE r.room = ` + sqlRoom + ` AND r.target BETWEEN ?2 AND ?3
		ORDER BY r.target, r.since, u.seq`

	// SQLite merges the two walks.
	sqlEvents = `SELECT seq, 'message' AS type, user_id, user_name, text, data, reply_to, key, 0 AS target, '' AS emoji, 0 AS is_on
			FROM message WHERE room = ` + sqlRoom + ` AND seq > ?2
		UNION ALL SELECT seq, type, user_id, user_name, text, NULL, 0, '', target, emoji, is_on
			FROM change WHERE room = ` + sqlRoom + ` AND seq > ?2
		ORDER BY seq LIMIT ?3`

	sqlLastSeq = `SELECT max(
		coalesce((SELECT max(seq) FROM message WHERE room = ` + sqlRoom + `), 0),
		coalesce((SELECT max(seq) FROM change WHERE room = ` + sqlRoom + `), 0))`

	// The index message_key is partial, so the statement repeats its condition.
	sqlFindKey = `SELECT seq, digest FROM message WHERE room = ` + sqlRoom + ` AND user_id = ?2 AND key = ?3 AND key <> ''`

	sqlMark   = `SELECT coalesce((SELECT seq FROM mark WHERE room = ` + sqlRoom + ` AND user_id = ?2), 0)`
	sqlUnread = `SELECT count(*) FROM (SELECT 1 FROM message
		WHERE room = ` + sqlRoom + ` AND user_id <> ?2 AND seq > ?3 AND deleted = 0 LIMIT ?4)`

	sqlMaxSeq = `SELECT value FROM meta WHERE name = 'max_seq'`
)

// readStatements live as long as the store; database/sql prepares them once per connection.
type readStatements struct {
	before, newest, after, around *sql.Stmt
	reactions                     *sql.Stmt
	events, lastSeq, findKey      *sql.Stmt
	mark, unread, maxSeq          *sql.Stmt
}

func (r *readStatements) prepare(db *sql.DB) error {
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&r.before, sqlBefore}, {&r.newest, sqlNewest}, {&r.after, sqlAfter}, {&r.around, sqlAround},
		{&r.reactions, sqlReactions}, {&r.events, sqlEvents}, {&r.lastSeq, sqlLastSeq}, {&r.findKey, sqlFindKey},
		{&r.mark, sqlMark}, {&r.unread, sqlUnread}, {&r.maxSeq, sqlMaxSeq},
	} {
		stmt, err := db.Prepare(p.query)
		if err != nil {
			return fmt.Errorf("prepare a read: %w", err)
		}
		*p.stmt = stmt
	}
	return nil
}

// Messages implements [Store].
func (s *SQLite) Messages(ctx context.Context, room string, q Page) ([]Message, error) {
	page, err := s.messages(ctx, room, q)
	if err != nil {
		return nil, s.failed(ctx, "read messages", err)
	}
	return page, nil
}

func (s *SQLite) messages(ctx context.Context, room string, q Page) ([]Message, error) {
	if q.Limit < 1 {
		return nil, ctx.Err()
	}
	var rows *sql.Rows
	var err error
	turnUpTo := Seq(math.MaxInt64) // what is at or below it was read downwards
	switch {
	case q.Before != 0:
		rows, err = s.read.before.QueryContext(ctx, room, int64(q.Before), q.Limit)
	case q.After != 0:
		turnUpTo = 0
		rows, err = s.read.after.QueryContext(ctx, room, int64(q.After), q.Limit)
	case q.Around != 0:
		turnUpTo = q.Around
		rows, err = s.read.around.QueryContext(ctx, room, int64(q.Around), q.Limit-q.Limit/2, q.Limit/2)
	default:
		rows, err = s.read.newest.QueryContext(ctx, room, q.Limit)
	}
	if err != nil {
		return nil, err
	}
	page, reacted, err := scanMessages(rows, room, min(q.Limit, 128))
	if err != nil {
		return nil, err
	}
	n := 0
	for n < len(page) && page[n].Seq <= turnUpTo {
		n++
	}
	slices.Reverse(page[:n])
	if reacted {
		err = s.addReactions(ctx, room, page)
	}
	return page, err
}

// scanMessages reads all rows and tells whether some message may have reactions.
func scanMessages(rows *sql.Rows, room string, capacity int) (page []Message, reacted bool, err error) {
	defer rows.Close()
	page = make([]Message, 0, capacity)
	for rows.Next() {
		page = append(page, Message{Room: room})
		m := &page[len(page)-1]
		var seq, replyTo, edited int64
		var deleted, hasReactions bool
		var data []byte
		err := rows.Scan(&seq, &m.From.ID, &m.From.Name, &m.Text, &data, &replyTo, &m.Key, &edited, &deleted, &hasReactions)
		if err != nil {
			return nil, false, err
		}
		m.Seq, m.ReplyTo, m.Edited, m.Deleted = Seq(seq), Seq(replyTo), Seq(edited), deleted
		m.Data = json.RawMessage(data)
		reacted = reacted || hasReactions
	}
	return page, reacted, rows.Err()
}

// addReactions fills in the reactions of a page, oldest first. They may be a
// moment newer than the page; their events are then still to come for the reader.
func (s *SQLite) addReactions(ctx context.Context, room string, page []Message) error {
	rows, err := s.read.reactions.QueryContext(ctx, room, int64(page[0].Seq), int64(page[len(page)-1].Seq), MaxReactionUsers)
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := 0; rows.Next(); {
		var target Seq
		var emoji, userID string
		var count int
		if err := rows.Scan(&target, &emoji, &count, &userID); err != nil {
			return err
		}
		for i < len(page) && page[i].Seq < target {
			i++
		}
		if i == len(page) {
			break
		}
		m := &page[i]
		if m.Seq != target || m.Deleted {
			continue
		}
		if n := len(m.Reactions); n == 0 || m.Reactions[n-1].Emoji != emoji {
			m.Reactions = append(m.Reactions, Reaction{Emoji: emoji, Count: count})
		}
		r := &m.Reactions[len(m.Reactions)-1]
		r.Users = append(r.Users, userID)
	}
	return rows.Err()
}

// Events implements [Store].
func (s *SQLite) Events(ctx context.Context, room string, after Seq, limit int) ([]Event, error) {
	if limit < 1 {
		return nil, s.failed(ctx, "read events", ctx.Err())
	}
	rows, err := s.read.events.QueryContext(ctx, room, int64(after), limit)
	if err != nil {
		return nil, s.failed(ctx, "read events", err)
	}
	events, err := scanEvents(rows, room)
	if err != nil {
		return nil, s.failed(ctx, "read events", err)
	}
	return events, nil
}

func scanEvents(rows *sql.Rows, room string) ([]Event, error) {
	defer rows.Close()
	var events []Event
	for rows.Next() {
		events = append(events, Event{Room: room})
		e := &events[len(events)-1]
		var seq, replyTo, target int64
		var kind string
		var data []byte
		err := rows.Scan(&seq, &kind, &e.From.ID, &e.From.Name, &e.Text, &data, &replyTo, &e.Key, &target, &e.Emoji, &e.On)
		if err != nil {
			return nil, err
		}
		e.Type, e.Seq, e.ReplyTo, e.Target = EventType(kind), Seq(seq), Seq(replyTo), Seq(target)
		e.Data = json.RawMessage(data)
	}
	return events, rows.Err()
}

// LastSeq implements [Store].
func (s *SQLite) LastSeq(ctx context.Context, room string) (Seq, error) {
	var last Seq
	err := s.read.lastSeq.QueryRowContext(ctx, room).Scan(&last)
	return last, s.failed(ctx, "read last seq", err)
}

// FindKey implements [KeyFinder].
func (s *SQLite) FindKey(ctx context.Context, room, userID, key string) (seq Seq, digest int64, err error) {
	err = s.read.findKey.QueryRowContext(ctx, room, userID, key).Scan(&seq, &digest)
	if err == sql.ErrNoRows {
		return 0, 0, nil
	}
	return seq, digest, s.failed(ctx, "find key", err)
}

// Unread implements [ReadMarker]. Messages of the user's own are passed over one
// by one, however many there are.
func (s *SQLite) Unread(ctx context.Context, room, userID string) (mark Seq, unread int, err error) {
	err = s.read.mark.QueryRowContext(ctx, room, userID).Scan(&mark)
	if err == nil {
		err = s.read.unread.QueryRowContext(ctx, room, userID, int64(mark), MaxUnread).Scan(&unread)
	}
	return mark, unread, s.failed(ctx, "count unread", err)
}

// MaxSeq implements [ClockKeeper].
func (s *SQLite) MaxSeq(ctx context.Context) (Seq, error) {
	var highest Seq
	err := s.read.maxSeq.QueryRowContext(ctx).Scan(&highest)
	return highest, s.failed(ctx, "read highest seq", err)
}
