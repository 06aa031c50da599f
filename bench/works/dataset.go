//go:build linux

package works

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/bench/load"
)

// A dataset is a database of messages made by the store itself, kept in the
// cache for the next run. Its rooms talk in turns, a page's worth at a time, so
// that a room's messages lie scattered over the file as a year of chat does.
//
// In bulk the same messages are written room after room by SQL alone, in minutes
// where the store takes half an hour; then a room's messages lie together.
type dataset struct {
	rooms, perRoom int
	bulk           bool
}

const (
	datasetTurn = 50 // messages of one room before another has its turn
	// datasetVersion is raised when the rows change: older files are made again.
	datasetVersion = 1
)

func (d dataset) rows() int { return d.rooms * d.perRoom }

func (d dataset) dir(e *Env) string {
	name := fmt.Sprintf("messages-v%d-%d-in-%d", datasetVersion, d.rows(), d.rooms)
	if d.bulk {
		name += "-bulk"
	}
	return filepath.Join(e.Cache, name)
}

func datasetRoom(i int) string { return fmt.Sprintf("r%05d", i) }

// seq is the position of message k of a room.
func (d dataset) seq(room, k int) chatroom.Seq {
	n := (k/datasetTurn*d.rooms+room)*datasetTurn + k%datasetTurn
	return chatroom.SeqAt(rawStart) + chatroom.Seq(n)*1000
}

// make makes the dataset unless the cache has it.
func (d dataset) make(ctx context.Context, e *Env) error {
	dir := d.dir(e)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	e.logf("  making %s messages in %s rooms, once", thousands(int64(d.rows())), thousands(int64(d.rooms)))
	part, err := e.runDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	file := filepath.Join(part, "chat.db")
	db, err := chatroom.OpenSQLite(file)
	if err != nil {
		return err
	}
	begin := time.Now()
	if d.bulk {
		err = errors.Join(db.Close(), d.fillInBulk(ctx, file))
	} else {
		err = errors.Join(d.fill(ctx, db), db.Close())
	}
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	e.logf("  made in %v", time.Since(begin).Round(time.Second))
	return os.Rename(part, dir)
}

func (d dataset) fill(ctx context.Context, db *chatroom.SQLite) error {
	batch := make([]chatroom.Event, 0, 1000)
	for turn := range d.perRoom / datasetTurn {
		for room := range d.rooms {
			for k := turn * datasetTurn; k < (turn+1)*datasetTurn; k++ {
				batch = append(batch, datasetEvent(datasetRoom(room), d.seq(room, k), k))
			}
			if len(batch) < cap(batch) {
				continue
			}
			if _, err := db.Append(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	_, err := db.Append(ctx, batch)
	return err
}

// bulkRoom fills room number ?1 with ?2 messages, as datasetEvent and seq have them but for the digest.
const bulkRoom = `
WITH RECURSIVE n(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < ?2)
INSERT INTO message (room, seq, user_id, user_name, key, digest, reply_to, text)
SELECT ?1, ?3 + ((k / ?4 * ?5 + ?1 - 1) * ?4 + k % ?4) * 1000, printf('u%05d', k % 20), printf('u%05d', k % 20), printf('k%08x', k), 0, 0, ?6 FROM n`

func (d dataset) fillInBulk(ctx context.Context, file string) (err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=cache_size(-65536)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	text := string(load.Message{Size: textSize}.Text(nil))
	const roomsPerCommit = 100
	for first := 0; first < d.rooms; first += roomsPerCommit {
		if err := d.fillRooms(ctx, db, first, min(first+roomsPerCommit, d.rooms), text); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, "UPDATE meta SET value = ? WHERE name = 'max_seq'", int64(d.seq(d.rooms-1, d.perRoom-1)))
	return err
}

// fillRooms fills the rooms from first up to last in one transaction.
func (d dataset) fillRooms(ctx context.Context, db *sql.DB, first, last int, text string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	for i := first; i < last; i++ {
		if _, err := tx.ExecContext(ctx, "INSERT INTO room (id, name) VALUES (?, ?)", i+1, datasetRoom(i)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, bulkRoom, i+1, d.perRoom, int64(chatroom.SeqAt(rawStart)), datasetTurn, d.rooms, text); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// datasetEvent is message k of a room, from one of 20 people.
func datasetEvent(room string, seq chatroom.Seq, k int) chatroom.Event {
	return chatroom.Event{
		Type: chatroom.EventMessage, Room: room, Seq: seq, From: userNumber(k % 20),
		Key:  fmt.Sprintf("k%08x", k),
		Text: string(load.Message{Sent: int64(seq), Number: uint32(k), Size: textSize}.Text(nil)),
	}
}
