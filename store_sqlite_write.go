package chatroom

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
)

// sqliteWriter is the one connection that writes. All of it belongs to whoever
// has the store's turn.
type sqliteWriter struct {
	db   *sql.DB
	conn *sql.Conn
	stmt writeStatements

	// rooms remembers the rooms written last, at most maxKnownRooms. It is true
	// of the transaction that is going on; one that fails empties it.
	rooms map[string]*writtenRoom

	wal walKeeper
}

// writtenRoom is a room's number and the highest seq of its log. An event above
// that is new without a look at the tables.
type writtenRoom struct {
	id   int64
	last Seq
}

// maxKnownRooms keeps the rooms of many full batches (1,000 events) at hand for about 2 MB.
const maxKnownRooms = 10_000

// writerCacheKiB is the writer's page cache. With SQLite's 2 MiB a batch over 200 rooms spent 40 % of its
// time reading pages back and spilling them (BenchmarkSQLiteAppend). It fills only as far as rooms are written to.
const writerCacheKiB = 32 << 10

func (w *sqliteWriter) open(path string) (err error) {
	w.rooms = map[string]*writtenRoom{}
	w.db, err = sql.Open("sqlite", dataSource(path, "mode=rw", pragma("busy_timeout", busyTimeoutMillis)))
	if err != nil {
		return err
	}
	w.db.SetMaxOpenConns(1)
	ctx := context.Background()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := openSchema(w.conn, path); err != nil {
		return err
	}
	// Not before the checks: some of these read the file.
	for _, setting := range []string{
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = ON",
		"PRAGMA wal_autocheckpoint = 0", // walKeeper does it
		fmt.Sprintf("PRAGMA cache_size = -%d", writerCacheKiB),
		fmt.Sprintf("PRAGMA journal_size_limit = %d", walKeepBytes),
	} {
		if _, err := w.conn.ExecContext(ctx, setting); err != nil {
			return fmt.Errorf("%s: %w", setting, err)
		}
	}
	if err := w.stmt.prepare(w.conn); err != nil {
		return err
	}
	return w.wal.open(path)
}

func (w *sqliteWriter) close() error {
	if w.db == nil {
		return nil
	}
	err := errors.Join(w.wal.close(), w.stmt.close())
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
	}
	return errors.Join(err, w.db.Close())
}

// yieldEvery is after how many rows a transaction lets others run: SQLite is Go code here, and a full batch
// would keep a core from deliveries for the 10 ms that the scheduler gives a goroutine.
const yieldEvery = 4

// Append implements [Store]. When ctx ends while the disk hangs, the transaction
// goes on by itself and the next Append waits for it.
func (s *SQLite) Append(ctx context.Context, events []Event) ([]AppendResult, error) {
	// The transaction may outlive this call, and the slices are the caller's.
	events = slices.Clone(events)
	for i := range events {
		events[i].Data = cloneData(events[i].Data)
	}
	var results []AppendResult
	err := s.write(ctx, func(w *sqliteWriter) (err error) {
		results, err = w.append(ctx, events)
		return err
	})
	if err != nil {
		return nil, s.failed(ctx, fmt.Sprintf("append %d events", len(events)), err)
	}
	return results, nil
}

// write carries f out in a transaction when its turn comes. It returns when the
// transaction has ended, and early when ctx ends; then f may still be running
// and its outcome is unknown. Close waits for it by taking the turn.
func (s *SQLite) write(ctx context.Context, f func(*sqliteWriter) error) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { // Close waits for it, and so does the next write
		defer func() { <-s.turn }()
		done <- s.writer.transaction(f)
		s.writer.wal.keep(&s.writer) // after the answer, so that no ack waits for it
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *SQLite) takeTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isClosed() {
		return errStoreClosed
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errStoreClosed
	}
	return nil
}

// transaction runs f between BEGIN and COMMIT. Its statements run without a
// ctx, which would cost a goroutine each; f looks at its ctx between events.
func (w *sqliteWriter) transaction(f func(*sqliteWriter) error) (err error) {
	if _, err := w.exec(w.stmt.begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			clear(w.rooms)
			// Fails when SQLite has rolled back by itself, as it does on a full disk.
			_, _ = w.exec(w.stmt.rollback)
		}
	}()
	if err := f(w); err != nil {
		return err
	}
	_, err = w.exec(w.stmt.commit)
	return err
}

func (w *sqliteWriter) append(ctx context.Context, events []Event) ([]AppendResult, error) {
	results := make([]AppendResult, len(events))
	var highest Seq
	for i := range events {
		if i%yieldEvery == 0 {
			runtime.Gosched()
		}
		e := &events[i]
		err := ctx.Err()
		if err == nil {
			err = e.storable()
		}
		if err == nil {
			results[i], err = w.appendEvent(e)
		}
		if err != nil {
			return nil, err
		}
		if results[i].Seq == e.Seq {
			highest = max(highest, e.Seq)
		}
	}
	if highest > 0 {
		if _, err := w.exec(w.stmt.raiseMaxSeq, int64(highest)); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (w *sqliteWriter) appendEvent(e *Event) (AppendResult, error) {
	stored := AppendResult{Seq: e.Seq}
	room, err := w.room(e.Room)
	if err != nil {
		return stored, err
	}
	if e.Seq <= room.last {
		// Either it comes again, after an answer that got lost, or it comes late.
		var known bool
		if err := w.stmt.known.QueryRow(room.id, int64(e.Seq)).Scan(&known); err != nil || known {
			return stored, err
		}
	}
	if e.Type == EventMessage {
		stored, err = w.insertMessage(room.id, e)
	} else {
		err = w.insertChange(room.id, e)
	}
	if err == nil && stored.Seq == e.Seq {
		room.last = max(room.last, e.Seq)
	}
	return stored, err
}

// insertMessage costs one statement, unless the key is taken.
func (w *sqliteWriter) insertMessage(room int64, e *Event) (AppendResult, error) {
	stored := AppendResult{Seq: e.Seq}
	digest := e.Digest()
	var data any // NULL
	if len(e.Data) > 0 {
		data = []byte(e.Data)
	}
	inserted, err := w.exec(w.stmt.insertMessage, room, int64(e.Seq), e.From.ID, e.From.Name, e.Key, digest, int64(e.ReplyTo), e.Text, data)
	if err != nil || inserted > 0 || e.Key == "" {
		return stored, err
	}
	var first, firstDigest int64
	if err := w.stmt.findKey.QueryRow(room, e.From.ID, e.Key).Scan(&first, &firstDigest); err != nil {
		return stored, fmt.Errorf("find the message that has the key: %w", err)
	}
	return AppendResult{Seq: Seq(first), Duplicate: digest == firstDigest, Conflict: digest != firstDigest}, nil
}

// insertChange writes the log and then the state of the target, if there is one.
func (w *sqliteWriter) insertChange(room int64, e *Event) error {
	target := int64(e.Target)
	var known, deleted bool
	switch err := w.stmt.target.QueryRow(room, target).Scan(&deleted); {
	case err == nil:
		known = true
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	text := ""
	if e.Type == EventEdit && !deleted {
		text = e.Text
	}
	if _, err := w.exec(w.stmt.insertChange, room, int64(e.Seq), string(e.Type), target, e.From.ID, e.From.Name, e.Emoji, e.On, text); err != nil {
		return err
	}
	var err error
	switch {
	case !known:
	case e.Type == EventRetract:
		_, err = w.exec(w.stmt.removeMessage, room, target) // and its reactions, by cascade
	case deleted:
	case e.Type == EventEdit:
		_, err = w.exec(w.stmt.editMessage, room, target, int64(e.Seq), e.Text)
	case e.Type == EventDelete:
		for _, stmt := range []*sql.Stmt{w.stmt.emptyMessage, w.stmt.emptyEdits, w.stmt.removeReactions} {
			if _, err := w.exec(stmt, room, target); err != nil {
				return err
			}
		}
	case e.Type == EventReact && e.On:
		err = w.react(room, e)
	case e.Type == EventReact:
		err = w.unreact(room, e)
	}
	return err
}

func (w *sqliteWriter) react(room int64, e *Event) error {
	since, err := w.findReaction(room, e)
	if err != nil {
		return err
	}
	if since == 0 { // the emoji is new on the message
		since = int64(e.Seq)
		inserted, err := w.exec(w.stmt.insertReaction, room, int64(e.Target), since, e.Emoji, MaxReactionEmoji)
		if err != nil || inserted == 0 {
			return err
		}
		if _, err := w.exec(w.stmt.setReacted, room, int64(e.Target)); err != nil {
			return err
		}
	}
	inserted, err := w.exec(w.stmt.insertReactor, room, int64(e.Target), since, int64(e.Seq), e.From.ID)
	if err == nil && inserted > 0 {
		_, err = w.exec(w.stmt.countReaction, room, int64(e.Target), since, 1)
	}
	return err
}

func (w *sqliteWriter) unreact(room int64, e *Event) error {
	since, err := w.findReaction(room, e)
	if err != nil || since == 0 {
		return err
	}
	removed, err := w.exec(w.stmt.removeReactor, room, int64(e.Target), since, e.From.ID)
	if err != nil || removed == 0 {
		return err
	}
	if _, err := w.exec(w.stmt.countReaction, room, int64(e.Target), since, -1); err != nil {
		return err
	}
	_, err = w.exec(w.stmt.dropReaction, room, int64(e.Target), since)
	return err
}

// findReaction returns since of the emoji on the target, 0 for none.
func (w *sqliteWriter) findReaction(room int64, e *Event) (since int64, err error) {
	err = w.stmt.findReaction.QueryRow(room, int64(e.Target), e.Emoji).Scan(&since)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return since, err
}

// room returns the room's number and last seq, and makes the number when the
// room is new.
func (w *sqliteWriter) room(name string) (*writtenRoom, error) {
	if r := w.rooms[name]; r != nil {
		return r, nil
	}
	r := &writtenRoom{}
	err := w.stmt.findRoom.QueryRow(name).Scan(&r.id, &r.last)
	if errors.Is(err, sql.ErrNoRows) {
		err = w.stmt.insertRoom.QueryRow(name).Scan(&r.id)
	}
	if err != nil {
		return nil, fmt.Errorf("number room %q: %w", name, err)
	}
	if len(w.rooms) >= maxKnownRooms {
		for other := range w.rooms { // any one: Go begins at a random place
			delete(w.rooms, other)
			break
		}
	}
	w.rooms[name] = r
	return r, nil
}

// exec runs one of the writer's statements and returns how many rows it changed.
func (w *sqliteWriter) exec(stmt *sql.Stmt, args ...any) (changed int64, err error) {
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
