//go:build linux

package works

import (
	"context"
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
type dataset struct {
	rooms, perRoom int
}

const (
	datasetTurn = 50 // messages of one room before another has its turn
	// datasetVersion is raised when the rows change: older files are made again.
	datasetVersion = 1
)

func (d dataset) rows() int { return d.rooms * d.perRoom }

func (d dataset) dir(e *Env) string {
	return filepath.Join(e.Cache, fmt.Sprintf("messages-v%d-%d-in-%d", datasetVersion, d.rows(), d.rooms))
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
	db, err := chatroom.OpenSQLite(filepath.Join(part, "chat.db"))
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := errors.Join(d.fill(ctx, db), db.Close()); err != nil {
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

// datasetEvent is message k of a room, from one of 20 people.
func datasetEvent(room string, seq chatroom.Seq, k int) chatroom.Event {
	return chatroom.Event{
		Type: chatroom.EventMessage, Room: room, Seq: seq, From: userNumber(k % 20),
		Key:  fmt.Sprintf("k%08x", k),
		Text: string(load.Message{Sent: int64(seq), Number: uint32(k), Size: textSize}.Text(nil)),
	}
}
