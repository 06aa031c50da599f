package chatroom

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// writeStatements live as long as the store. One statement per row inside the
// transaction: faster here than inserts of many rows or of JSON.
type writeStatements struct {
	begin, commit, rollback, walState             *sql.Stmt
	findRoom, insertRoom, known, findKey          *sql.Stmt
	insertMessage, insertChange, target           *sql.Stmt
	editMessage, emptyMessage, removeMessage      *sql.Stmt
	emptyEdits, raiseMaxSeq, mark                 *sql.Stmt
	findReaction, insertReaction, setReacted      *sql.Stmt
	countReaction, dropReaction                   *sql.Stmt
	insertReactor, removeReactor, removeReactions *sql.Stmt

	all []*sql.Stmt
}

// close finalizes every statement. SQLite keeps a connection half open, files
// and log included, while one of its statements lives, and database/sql leaves
// those of a sql.Conn to their owner.
func (w *writeStatements) close() error {
	var errs []error
	for _, stmt := range w.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

func (w *writeStatements) prepare(conn *sql.Conn) error {
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&w.begin, `BEGIN IMMEDIATE`},
		{&w.commit, `COMMIT`},
		{&w.rollback, `ROLLBACK`},
		{&w.walState, `PRAGMA wal_checkpoint(NOOP)`},

		{&w.findRoom, `SELECT id, max(
			coalesce((SELECT max(seq) FROM message WHERE room = id), 0),
			coalesce((SELECT max(seq) FROM change WHERE room = id), 0)) FROM room WHERE name = ?`},
		{&w.insertRoom, `INSERT INTO room (name) VALUES (?) RETURNING id`},
		// Whether the event is in the log, or was a message that has been retracted since.
		{&w.known, `SELECT EXISTS (SELECT 1 FROM message WHERE room = ?1 AND seq = ?2)
			OR EXISTS (SELECT 1 FROM change WHERE room = ?1 AND seq = ?2)
			OR EXISTS (SELECT 1 FROM change WHERE room = ?1 AND seq > ?2 AND type = 'retract' AND target = ?2)`},
		{&w.findKey, `SELECT seq, digest FROM message WHERE room = ? AND user_id = ? AND key = ? AND key <> ''`},

		{&w.insertMessage, `INSERT INTO message (room, seq, user_id, user_name, key, digest, reply_to, text, data)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (room, user_id, key) WHERE key <> '' DO NOTHING`},
		{&w.insertChange, `INSERT INTO change (room, seq, type, target, user_id, user_name, emoji, is_on, text)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&w.target, `SELECT deleted FROM message WHERE room = ? AND seq = ?`},
		{&w.editMessage, `UPDATE message SET edited = ?3, text = ?4 WHERE room = ?1 AND seq = ?2`},
		{&w.emptyMessage, `UPDATE message SET deleted = 1, reacted = 0, text = '', data = NULL WHERE room = ? AND seq = ?`},
		{&w.removeMessage, `DELETE FROM message WHERE room = ? AND seq = ?`},
		{&w.emptyEdits, `UPDATE change SET text = '' WHERE room = ? AND target = ? AND type = 'edit'`},
		{&w.raiseMaxSeq, `UPDATE meta SET value = max(value, ?) WHERE name = 'max_seq'`},
		{&w.mark, `INSERT INTO mark (room, user_id, seq) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq`},

		{&w.findReaction, `SELECT since FROM reaction WHERE room = ? AND target = ? AND emoji = ?`},
		{&w.insertReaction, `INSERT INTO reaction (room, target, since, emoji, count) SELECT ?1, ?2, ?3, ?4, 0
			WHERE (SELECT count(*) FROM reaction WHERE room = ?1 AND target = ?2) < ?5`},
		{&w.setReacted, `UPDATE message SET reacted = 1 WHERE room = ? AND seq = ? AND reacted = 0`},
		{&w.countReaction, `UPDATE reaction SET count = count + ?4 WHERE room = ?1 AND target = ?2 AND since = ?3`},
		{&w.dropReaction, `DELETE FROM reaction WHERE room = ? AND target = ? AND since = ? AND count = 0`},
		{&w.insertReactor, `INSERT INTO reactor (room, target, since, seq, user_id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&w.removeReactor, `DELETE FROM reactor WHERE room = ? AND target = ? AND since = ? AND user_id = ?`},
		{&w.removeReactions, `DELETE FROM reaction WHERE room = ? AND target = ?`},
	} {
		stmt, err := conn.PrepareContext(context.Background(), p.query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.query, err)
		}
		*p.stmt = stmt
		w.all = append(w.all, stmt)
	}
	return nil
}
