package chatroom_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/chatroom-go/chatroom"
)

// rowsOfARealBatch are 1,000 messages of 200 bytes over 200 rooms.
func rowsOfARealBatch(first chatroom.Seq) []chatroom.Event {
	text := strings.Repeat("x", 200)
	batch := make([]chatroom.Event, 1000)
	for i := range batch {
		seq := first + chatroom.Seq(i)
		batch[i] = chatroom.Event{
			Type: chatroom.EventMessage, Room: fmt.Sprint("room ", i%200), Seq: seq, Text: text,
			From: chatroom.User{ID: fmt.Sprint("user ", i%50), Name: "Somebody"}, Key: fmt.Sprintf("key-%016d", seq),
		}
	}
	return batch
}

// BenchmarkSQLiteAppend compares the store with the same rows inserted into the
// same tables by hand.
func BenchmarkSQLiteAppend(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		s := openSQLite(b, newPath(b))
		b.ReportAllocs()
		first := chatroom.Seq(1)
		for b.Loop() {
			b.StopTimer()
			batch := rowsOfARealBatch(first)
			first += 1000
			b.StartTimer()
			if _, err := s.Append(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("bare", func(b *testing.B) {
		path := newPath(b)
		s := openSQLite(b, path)
		appendTo(b, s, rowsOfARealBatch(1)...) // numbers the rooms
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		db := foreign(b, path)
		mustExec(b, db, "PRAGMA synchronous = FULL")
		insert, err := db.Prepare(`INSERT INTO message (room, seq, user_id, user_name, key, digest, reply_to, text, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			b.Fatal(err)
		}
		defer insert.Close()
		b.ReportAllocs()
		first := chatroom.Seq(1001)
		for b.Loop() {
			b.StopTimer()
			batch := rowsOfARealBatch(first)
			first += 1000
			b.StartTimer()
			insertBare(b, db, insert, batch)
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
	})
}

func insertBare(b *testing.B, db *sql.DB, insert *sql.Stmt, batch []chatroom.Event) {
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	stmt := tx.Stmt(insert)
	for i, e := range batch {
		if _, err := stmt.Exec(i%200+1, int64(e.Seq), e.From.ID, e.From.Name, e.Key, int64(i), 0, e.Text, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSQLitePage compares a page of 50 with its statement run by hand.
func BenchmarkSQLitePage(b *testing.B) {
	path := newPath(b)
	s := openSQLite(b, path)
	for i := range 100 {
		appendTo(b, s, rowsOfARealBatch(chatroom.Seq(i*1000+1))...)
	}
	ctx, cancel := context.WithCancel(context.Background()) // as a request has it
	defer cancel()
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			page, err := s.Messages(ctx, "room 7", chatroom.Page{Limit: 50})
			if err != nil || len(page) != 50 {
				b.Fatal(len(page), err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		stmt, err := foreign(b, path).Prepare(chatroom.SQLNewest)
		if err != nil {
			b.Fatal(err)
		}
		defer stmt.Close()
		b.ReportAllocs()
		for b.Loop() {
			rows, err := stmt.QueryContext(ctx, "room 7", 50)
			if err != nil {
				b.Fatal(err)
			}
			for rows.Next() {
				var seq, reply, edited int64
				var deleted, reacted bool
				var id, name, text, key string
				var data []byte
				if err := rows.Scan(&seq, &id, &name, &text, &data, &reply, &key, &edited, &deleted, &reacted); err != nil {
					b.Fatal(err)
				}
			}
			if err := rows.Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
