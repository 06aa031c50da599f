package chatroom_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatroom-go/chatroom"
	"github.com/chatroom-go/chatroom/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) chatroom.Store { return openSQLite(t, newPath(t)) })
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "chat.db") }

func openSQLite(t testing.TB, path string) *chatroom.SQLite {
	t.Helper()
	s, err := chatroom.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func appendTo(t testing.TB, s chatroom.Store, events ...chatroom.Event) {
	t.Helper()
	if _, err := s.Append(context.Background(), events); err != nil {
		t.Fatal(err)
	}
}

func said(seq chatroom.Seq, text string) chatroom.Event {
	return chatroom.Event{Type: chatroom.EventMessage, Room: "lobby", Seq: seq, From: chatroom.User{ID: "u1", Name: "Ann"}, Text: text}
}

// foreign opens the file the way another program would.
func foreign(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.Exec(query); err != nil {
		t.Fatalf("%s: %+v", query, err)
	}
}

func texts(t testing.TB, s chatroom.Store) string {
	t.Helper()
	page, err := s.Messages(context.Background(), "lobby", chatroom.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, m := range page {
		list = append(list, m.Text)
	}
	return strings.Join(list, " ")
}

func TestSQLiteReopenKeepsEverything(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "odd name ?#%41&é.db")
	s := openSQLite(t, path)
	keyed := said(1, "a")
	keyed.Key = "k"
	appendTo(t, s, keyed, said(2, "b"), chatroom.Event{Type: chatroom.EventEdit, Room: "lobby", Seq: 3, Target: 2, Text: "c"},
		chatroom.Event{Type: chatroom.EventReact, Room: "lobby", Seq: 4, Target: 1, Emoji: "👍", On: true, From: chatroom.User{ID: "u2"}})
	if err := s.MarkRead(ctx, "lobby", "u2", 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("after Close: %v, %v; want the file and its lock", entries, err)
	}

	s = openSQLite(t, path)
	page, err := s.Messages(ctx, "lobby", chatroom.Page{Limit: 10})
	if err != nil || len(page) != 2 || page[1].Text != "c" || len(page[0].Reactions) != 1 {
		t.Errorf("messages: %+v, %v", page, err)
	}
	if log, err := s.Events(ctx, "lobby", 0, 10); err != nil || len(log) != 4 {
		t.Errorf("log: %+v, %v", log, err)
	}
	if mark, unread, err := s.Unread(ctx, "lobby", "u2"); mark != 1 || unread != 1 || err != nil {
		t.Errorf("mark %d, unread %d, %v", mark, unread, err)
	}
	if seq, digest, err := s.FindKey(ctx, "lobby", "u1", "k"); seq != 1 || digest != keyed.Digest() || err != nil {
		t.Errorf("key: %d, %d, %v", seq, digest, err)
	}
	if highest, err := s.MaxSeq(ctx); highest != 4 || err != nil {
		t.Errorf("highest seq: %d, %v", highest, err)
	}
	keyed.Seq = 9
	if r, err := s.Append(ctx, []chatroom.Event{keyed}); err != nil || !r[0].Duplicate || r[0].Seq != 1 {
		t.Errorf("key again: %+v, %v", r, err)
	}
}

func TestSQLiteFilesArePrivate(t *testing.T) {
	path := newPath(t)
	appendTo(t, openSQLite(t, path), said(1, "a"))
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(path+suffix), mode)
		}
	}
}

func TestSQLiteRefusesASecondStore(t *testing.T) {
	path := newPath(t)
	s := openSQLite(t, path)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if _, err := chatroom.OpenSQLite(name); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Fatalf("second open of %s: %+v", name, err)
		}
	}
	appendTo(t, s, said(1, "a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, openSQLite(t, link)); got != "a" {
		t.Errorf("after the first closed: %q", got)
	}
}

// TestSQLiteIsFreeAfterKill opens the store in a child process that is killed in the middle of writing.
func TestSQLiteIsFreeAfterKill(t *testing.T) {
	const env = "CHATROOM_TEST_STORE_PATH"
	if path := os.Getenv(env); path != "" {
		s := openSQLite(t, path)
		for seq := chatroom.Seq(1); ; seq++ {
			appendTo(t, s, said(seq, "x"))
			fmt.Println("stored", seq)
		}
	}
	path := newPath(t)
	child := exec.Command(os.Args[0], "-test.run=^TestSQLiteIsFreeAfterKill$")
	child.Env = append(os.Environ(), env+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var last chatroom.Seq
	lines := bufio.NewScanner(out)
	for last < 20 && lines.Scan() {
		fmt.Sscanf(lines.Text(), "stored %d", &last)
	}
	_, err = chatroom.OpenSQLite(path)
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("open beside the child: %+v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		fmt.Sscanf(lines.Text(), "stored %d", &last)
	}
	_ = child.Wait() // "signal: killed"
	s := openSQLite(t, path)
	got, err := s.LastSeq(t.Context(), "lobby")
	if err != nil || got < last {
		t.Errorf("last seq %d, %v; the child had stored %d", got, err, last)
	}
}

func TestSQLiteRefusesFilesThatAreNotItsOwn(t *testing.T) {
	store := newPath(t) // a store of several pages, as bytes
	s := openSQLite(t, store)
	for i := range 200 {
		appendTo(t, s, said(chatroom.Seq(i+1), strings.Repeat("x", 500)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	sqlOn := func(start []byte, queries ...string) []byte {
		path := newPath(t)
		if err := os.WriteFile(path, start, 0o600); err != nil {
			t.Fatal(err)
		}
		db := foreign(t, path)
		mustExec(t, db, "PRAGMA journal_mode = DELETE")
		for _, q := range queries {
			mustExec(t, db, q)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	broken := append([]byte(nil), whole...)
	for i := len(broken) / 2; i < len(broken)/2+20_000; i++ {
		broken[i] = byte(i)
	}
	garbage := make([]byte, 10_000)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	for _, c := range []struct {
		name, want string
		content    []byte
	}{
		{"garbage", "check of header and schema failed", garbage},
		{"text", "check of header and schema failed", []byte("hello\n")},
		{"half a header", "check of header and schema failed", whole[:50]},
		{"one page", "check of header and schema failed", whole[:4096]},
		{"truncated", "check of header and schema failed", whole[:len(whole)-4096]},
		{"broken pages", "quick_check", broken},
		{"another program's database", "not a chatroom store", sqlOn(nil, "CREATE TABLE t (x)", "PRAGMA user_version = 1")},
		{"marked by another program", "not a chatroom store", sqlOn(whole, "PRAGMA application_id = 7")},
		{"newer", "schema version is 77, this one knows up to 1", sqlOn(whole, "PRAGMA user_version = 77")},
		{"no version", "schema version 0", sqlOn(whole, "PRAGMA user_version = 0")},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s, err := chatroom.OpenSQLite(path)
				if err == nil {
					s.Close()
					t.Fatal("opened")
				}
				if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %q does not name the file and say %q", err, c.want)
				}
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(c.content) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
	t.Run("empty beside a log", func(t *testing.T) {
		path := newPath(t)
		for name, content := range map[string]string{path: "", path + "-wal": "something"} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := chatroom.OpenSQLite(path); err == nil || !strings.Contains(err.Error(), "write-ahead log") {
			t.Errorf("error %v", err)
		}
		if b, err := os.ReadFile(path + "-wal"); string(b) != "something" {
			t.Errorf("the log was changed: %q, %v", b, err)
		}
	})
	for _, path := range []string{"", ":memory:", t.TempDir(), filepath.Join(t.TempDir(), "no", "chat.db"), "a\x00b"} {
		if s, err := chatroom.OpenSQLite(path); err == nil {
			s.Close()
			t.Errorf("opened %q", path)
		}
	}
}

func TestSQLiteFullHealsAndStaysReadable(t *testing.T) {
	s := openSQLite(t, newPath(t))
	appendTo(t, s, said(1, "before"))
	// max_page_count cannot go below the size the file has.
	if err := s.ExecOnWriter(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	batch := []chatroom.Event{said(2, strings.Repeat("x", 50_000)), said(3, "after")}
	for range 3 {
		if _, err := s.Append(t.Context(), batch); !errors.Is(err, chatroom.ErrStoreFull) || errors.Is(err, chatroom.ErrStoreRefused) {
			t.Fatalf("error %v, want ErrStoreFull", err)
		}
		if got := texts(t, s); got != "before" {
			t.Fatalf("history of a full store: %q", got)
		}
	}
	if err := s.ExecOnWriter(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, batch...)
	if last, err := s.LastSeq(t.Context(), "lobby"); last != 3 || err != nil {
		t.Errorf("last seq %d, %v", last, err)
	}
}

func TestSQLiteReturnsWhenCtxEndsThoughTheFileIsLocked(t *testing.T) {
	path := newPath(t)
	s := openSQLite(t, path)
	other := foreign(t, path)
	mustExec(t, other, "BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Append(ctx, []chatroom.Event{said(1, "a")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append: %v, want DeadlineExceeded", err)
	}
	if err := s.MarkRead(ctx, "lobby", "u1", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("MarkRead: %v, want DeadlineExceeded", err)
	}
	if got := texts(t, s); got != "" {
		t.Errorf("read beside the lock: %q", got)
	}
	mustExec(t, other, "COMMIT")
	appendTo(t, s, said(1, "a"))
	if got := texts(t, s); got != "a" {
		t.Errorf("after the lock: %q", got)
	}
}

func TestSQLiteAfterClose(t *testing.T) {
	s := openSQLite(t, newPath(t))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	_, appendErr := s.Append(ctx, []chatroom.Event{said(1, "a")})
	_, pageErr := s.Messages(ctx, "lobby", chatroom.Page{Limit: 1})
	_, logErr := s.Events(ctx, "lobby", 0, 1)
	_, lastErr := s.LastSeq(ctx, "lobby")
	_, _, unreadErr := s.Unread(ctx, "lobby", "u1")
	for what, err := range map[string]error{
		"Append": appendErr, "Messages": pageErr, "Events": logErr, "LastSeq": lastErr, "Unread": unreadErr,
		"MarkRead": s.MarkRead(ctx, "lobby", "u1", 1), "Backup": s.Backup(ctx, filepath.Join(t.TempDir(), "copy.db")),
	} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s after Close: %+v", what, err)
		}
	}
}

func TestSQLiteCloseDuringEverything(t *testing.T) {
	s := openSQLite(t, newPath(t))
	started := make(chan struct{}, 3)
	var callers sync.WaitGroup
	for _, call := range []func(seq chatroom.Seq) error{
		func(seq chatroom.Seq) error {
			_, err := s.Append(context.Background(), []chatroom.Event{said(seq, "x")})
			return err
		},
		func(seq chatroom.Seq) error { return s.MarkRead(context.Background(), "lobby", "u2", seq) },
		func(chatroom.Seq) error {
			_, err := s.Messages(context.Background(), "lobby", chatroom.Page{Limit: 50})
			return err
		},
	} {
		callers.Go(func() {
			for seq := chatroom.Seq(1); ; seq++ {
				if err := call(seq); err != nil {
					if !strings.Contains(err.Error(), "closed") {
						t.Errorf("not an error about closing: %+v", err)
					}
					return
				}
				if seq == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 3 {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}

func TestSQLiteBackupOpensAsAStore(t *testing.T) {
	s := openSQLite(t, newPath(t))
	appendTo(t, s, said(1, "a"), said(2, "b"))
	to := filepath.Join(t.TempDir(), "copy ?#%.db")
	if err := s.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	appendTo(t, s, said(3, "c"))
	if err := s.Backup(t.Context(), to); !errors.Is(err, os.ErrExist) {
		t.Errorf("backup onto a file: %v, want os.ErrExist", err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v; want mode 600", info, err)
	}
	if got := texts(t, openSQLite(t, to)); got != "a b" {
		t.Errorf("the copy holds %q", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late := filepath.Join(t.TempDir(), "late.db")
	if err := s.Backup(ended, late); !errors.Is(err, context.Canceled) {
		t.Errorf("backup with an ended ctx: %+v", err)
	}
	if _, err := os.Stat(late); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed backup left its file: %+v", err)
	}
}

// Every read must be a walk along an index: a sort or a scan would make a page of a big room slow.
func TestSQLiteReadsNeitherSortNorScan(t *testing.T) {
	path := newPath(t)
	openSQLite(t, path)
	db := foreign(t, path)
	for name, query := range chatroom.SQLiteReads {
		plan := queryPlan(t, db, query)
		for _, line := range plan {
			if strings.Contains(line, "TEMP B-TREE") || strings.HasPrefix(line, "SCAN") && line != "SCAN CONSTANT ROW" && !strings.HasPrefix(line, "SCAN (subquery") {
				t.Errorf("%s: %s\n%s", name, line, strings.Join(plan, "\n"))
			}
		}
		if !strings.Contains(strings.Join(plan, "\n"), "SEARCH") {
			t.Errorf("%s searches nothing:\n%s", name, strings.Join(plan, "\n"))
		}
	}
	if plan := strings.Join(queryPlan(t, db, chatroom.SQLiteReads["events"]), "\n"); !strings.Contains(plan, "MERGE (UNION ALL)") {
		t.Errorf("events are not merged:\n%s", plan)
	}
	// The check can fail.
	if plan := strings.Join(queryPlan(t, db, "SELECT * FROM message ORDER BY text"), "\n"); !strings.Contains(plan, "TEMP B-TREE") || !strings.HasPrefix(plan, "SCAN") {
		t.Errorf("a sorting scan is not seen:\n%s", plan)
	}
}

func queryPlan(t *testing.T, db *sql.DB, query string) (lines []string) {
	t.Helper()
	args := make([]any, 0, 4)
	for i := 1; strings.Contains(query, fmt.Sprint("?", i)); i++ {
		args = append(args, i)
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
