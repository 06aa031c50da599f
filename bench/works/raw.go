//go:build linux

package works

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/bench/load"

	_ "modernc.org/sqlite" // the driver that chatroom.OpenSQLite uses
)

// rawSchema is what the same promises need in SQLite without any library: rows
// clustered by room and position, and a key that is unique for a sender.
const rawSchema = `
CREATE TABLE message (
	room INTEGER NOT NULL, seq INTEGER NOT NULL, user_id TEXT NOT NULL, user_name TEXT NOT NULL, key TEXT NOT NULL,
	digest INTEGER NOT NULL, reply_to INTEGER NOT NULL, text TEXT NOT NULL, data BLOB,
	PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX message_key ON message (room, user_id, key) WHERE key <> '';`

// rawOptions are the store's own: nothing is lost in a power cut.
const rawOptions = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"

// insertRaw inserts the rows of sendFromHost with the bare driver, from one
// goroutine and a prepared statement, and returns rows per second.
func insertRaw(ctx context.Context, dir string, batch int, d time.Duration) (rate float64, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "raw.db")+rawOptions)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, rawSchema); err != nil {
		return 0, fmt.Errorf("raw schema: %w", err)
	}
	insert, err := db.Prepare(`INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return 0, fmt.Errorf("raw insert: %w", err)
	}
	defer insert.Close()
	rows, begin := 0, time.Now()
	for time.Since(begin) < d {
		if err := insertBatch(ctx, db, insert, rows, batch); err != nil {
			return 0, fmt.Errorf("raw insert: %w", err)
		}
		rows += batch
	}
	return float64(rows) / time.Since(begin).Seconds(), nil
}

func insertBatch(ctx context.Context, db *sql.DB, insert *sql.Stmt, from, batch int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after Commit
	stmt := tx.Stmt(insert)
	for n := from; n < from+batch; n++ {
		user := userNumber(n % inboundSenders)
		e := chatroom.Event{Text: string(load.Message{Sent: int64(n), Number: uint32(n), Size: textSize}.Text(nil))}
		seq := int64(chatroom.SeqAt(rawStart)) + int64(n)
		_, err := stmt.Exec(n%inboundRooms, seq, user.ID, user.Name, fmt.Sprintf("k%08x", n), e.Digest(), 0, e.Text, nil)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// rawStart is where the positions of generated rows begin.
var rawStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
