package chatroom_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chatroom-go/chatroom"
)

var migrationKills = flag.Int("migrationkills", 10, "how many times a migration is killed")

// secondVersion is what a version 2 of the schema might have to do: it makes the
// biggest table again with a column more and its index, rewrites the log, and adds a table. The
// cache is made small so that pages of the unfinished transaction get into the file's log.
const secondVersion = `
PRAGMA cache_size = 20;
CREATE TABLE message_2 (
    room      INTEGER NOT NULL,
    seq       INTEGER NOT NULL CHECK (seq > 0),
    user_id   TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    digest    INTEGER NOT NULL,
    reply_to  INTEGER NOT NULL,
    edited    INTEGER NOT NULL DEFAULT 0,
    deleted   INTEGER NOT NULL DEFAULT 0,
    reacted   INTEGER NOT NULL DEFAULT 0,
    pinned    INTEGER NOT NULL DEFAULT 0,
    text      TEXT    NOT NULL,
    data      BLOB,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO message_2 (room, seq, user_id, user_name, key, digest, reply_to, edited, deleted, reacted, text, data)
    SELECT room, seq, user_id, user_name, key, digest, reply_to, edited, deleted, reacted, text, data FROM message;
DROP TABLE message;
ALTER TABLE message_2 RENAME TO message;
CREATE UNIQUE INDEX message_key ON message (room, user_id, key) WHERE key <> '';
ALTER TABLE change ADD COLUMN note TEXT NOT NULL DEFAULT '';
UPDATE change SET note = type || ' of ' || target;
CREATE TABLE pin (room INTEGER NOT NULL, target INTEGER NOT NULL, PRIMARY KEY (room, target)) STRICT, WITHOUT ROWID;
`

// migratingVariable makes the test binary a later version of the library that opens the store at this path.
const migratingVariable = "CHATROOM_TEST_MIGRATE"

// TestSQLiteMigratingChild is not a test but the process that the tests below kill.
func TestSQLiteMigratingChild(t *testing.T) {
	path := os.Getenv(migratingVariable)
	if path == "" {
		t.Skip("only as the child of another test")
	}
	first, err := fs.ReadFile(chatroom.SQLiteSchema(), "sqlite/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	chatroom.SetSQLiteSchema(fstest.MapFS{
		"sqlite/0001.sql": {Data: first},
		"sqlite/0002.sql": {Data: []byte(secondVersion)},
	})
	fmt.Println("opening")
	store, err := chatroom.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open")
	// It is a whole store: written to under version 2, and read.
	appendTo(t, store, said(1<<50, "migrated"))
	if last, err := store.LastSeq(t.Context(), "lobby"); err != nil || last != 1<<50 {
		t.Errorf("last seq %d, %v", last, err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// later runs the later version on the store at path, kills it a while after it
// began to open it, unless that is negative, and tells how long opening took, or how its end came.
func later(t *testing.T, path string, kill time.Duration) (opened time.Duration, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSQLiteMigratingChild$")
	cmd.Env = append(os.Environ(), migratingVariable+"="+path, "GORACE=atexit_sleep_ms=0") // a race build sleeps a second else
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var began time.Time
	var words strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch lines.Text() {
		case "opening":
			began = time.Now()
			if kill >= 0 {
				defer time.AfterFunc(kill, func() { cmd.Process.Kill() }).Stop()
			}
		case "open":
			opened = time.Since(began)
		default:
			words.WriteString(lines.Text() + "\n")
		}
	}
	if err := cmd.Wait(); err != nil {
		return opened, fmt.Errorf("%w: %s%s", err, words.String(), complaint.String())
	}
	return opened, nil
}

// Fault 34: a process that is killed at any moment of a migration leaves the file at
// the old version or at the new one, whole, with everything in it, and the next open finishes the migration.
func TestKilledMigrationLeavesTheOldVersionOrTheNew(t *testing.T) {
	origin := newPath(t)
	fill(t, origin)
	want := content(t, origin, 1)
	length, err := later(t, copyStore(t, origin), -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages and changes; opening with the migration took %v", strings.Count(want, "\n"), length)
	versions, finished, unfinishedLogs := map[int]int{}, 0, 0
	for range *migrationKills {
		path := copyStore(t, origin)
		moment := rand.N(length + length/4)
		if _, err := later(t, path, moment); err == nil {
			finished++ // it was faster
		}
		if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
			unfinishedLogs++
		}
		// Opening it to look would already repair it: a copy is looked at.
		seen := copyStore(t, path)
		version := schemaVersion(t, seen)
		versions[version]++
		if got := withoutLine(content(t, seen, version), "migrated"); got != want {
			t.Fatalf("killed after %v: version %d holds something else", moment, version)
		}
		switch version {
		case 1: // the old library goes on with it
			if s := openSQLite(t, seen); len(want) > 0 {
				appendTo(t, s, said(1<<50, "still version 1"))
			}
		case 2:
			refusedAsNewer(t, seen)
		}
		if _, err := later(t, path, -1); err != nil {
			t.Fatalf("killed after %v, at version %d, and opened again; %v", moment, version, err)
		}
		if v := schemaVersion(t, copyStore(t, path)); v != 2 {
			t.Fatalf("version %d after the migration was finished", v)
		}
		if got := withoutLine(content(t, copyStore(t, path), 2), "migrated"); got != want {
			t.Fatalf("killed after %v: the migration that was finished changed something", moment)
		}
	}
	t.Logf("%d kills, %d of them too late; then version 1: %d times, version 2: %d times; a log was left %d times", *migrationKills, finished, versions[1], versions[2], unfinishedLogs)
	if versions[1] == 0 || *migrationKills == finished {
		t.Error("no kill came during a migration: this proves nothing")
	}
}

// Fault 34: a file that a newer version has migrated is refused, and stays what it is.
func TestOlderVersionRefusesAMigratedFileAndLeavesItAsItIs(t *testing.T) {
	path := newPath(t)
	fill(t, path)
	if _, err := later(t, path, -1); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		refusedAsNewer(t, path)
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Fatalf("the file was changed (%v)", err)
		}
	}
	if _, err := later(t, path, -1); err != nil {
		t.Errorf("the newer version, after that; %v", err)
	}
}

func refusedAsNewer(t *testing.T, path string) {
	t.Helper()
	s, err := chatroom.OpenSQLite(path)
	if err == nil {
		s.Close()
		t.Fatal("the older version opened it")
	}
	if !strings.Contains(err.Error(), "written by a newer version of chatroom: its schema version is 2, this one knows up to 1") || !strings.Contains(err.Error(), path) {
		t.Errorf("error %q", err)
	}
}

// fill makes a store of 3,000 messages and changes.
func fill(t *testing.T, path string) {
	t.Helper()
	s, err := chatroom.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var events []chatroom.Event
	for seq := chatroom.Seq(1); len(events) < 3000; seq++ {
		e := chatroom.Event{
			Type: chatroom.EventMessage, Room: string("abc"[r.IntN(3)]), Seq: seq, From: chatroom.User{ID: fmt.Sprint("u", r.IntN(4)), Name: "Somebody"},
			Key: fmt.Sprint("k", seq), Text: strings.Repeat("text ", 1+r.IntN(60)),
		}
		if before := max(1, seq-chatroom.Seq(1+r.IntN(20))); r.IntN(3) == 0 { // a change, of a message of this room or not
			e = chatroom.Event{Room: e.Room, Seq: seq, From: e.From, Target: before}
			switch r.IntN(4) {
			case 0:
				e.Type = chatroom.EventDelete
			case 1:
				e.Type, e.Text = chatroom.EventEdit, fmt.Sprint("edited ", seq)
			default:
				e.Type, e.Emoji, e.On = chatroom.EventReact, string("xyz"[r.IntN(3)]), r.IntN(3) > 0
			}
		}
		events = append(events, e)
	}
	for len(events) > 0 {
		appendTo(t, s, events[:500]...)
		events = events[500:]
	}
	for user := range 4 {
		if err := s.MarkRead(t.Context(), "a", fmt.Sprint("u", user), chatroom.Seq(700*user+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyStore copies the files that a process left, none of which is open any more.
func copyStore(t *testing.T, path string) string {
	t.Helper()
	to := newPath(t)
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func schemaVersion(t *testing.T, path string) (version int) {
	t.Helper()
	db := foreign(t, path)
	defer db.Close()
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// content checks that a file is whole and has the tables of its version, and returns
// everything in them that both versions know, a line for each row.
func content(t *testing.T, path string, version int) string {
	t.Helper()
	db := foreign(t, path)
	defer db.Close()
	for query, want := range map[string]string{
		"PRAGMA integrity_check":                        "ok",
		"SELECT count(*) FROM pragma_foreign_key_check": "0",
		"SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)": map[int]string{
			1: "change,mark,message,meta,reaction,reactor,room", 2: "change,mark,message,meta,pin,reaction,reactor,room",
		}[version],
		"SELECT count(*) FROM sqlite_schema WHERE name IN ('message_key', 'change_edit')":  "2",
		"SELECT count(*) FROM pragma_table_info('message') WHERE name = 'pinned'":          fmt.Sprint(version - 1),
		"SELECT count(*) FROM pragma_table_info('change') WHERE name = 'note'":             fmt.Sprint(version - 1),
		"SELECT sql LIKE '%REFERENCES message %' FROM sqlite_schema WHERE name='reaction'": "1",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Fatalf("version %d: %s: %q, want %q; %v", version, query, got, want, err)
		}
	}
	var all strings.Builder
	for _, query := range []string{
		"SELECT room, seq, user_id, user_name, key, digest, reply_to, edited, deleted, reacted, text, data FROM message ORDER BY room, seq",
		"SELECT room, seq, type, target, user_id, user_name, emoji, is_on, text FROM change ORDER BY room, seq",
		"SELECT * FROM reaction ORDER BY 1, 2, 3", "SELECT * FROM reactor ORDER BY 1, 2, 3, 4",
		"SELECT * FROM mark ORDER BY 1, 2", "SELECT * FROM room WHERE name <> 'lobby' ORDER BY 1",
	} {
		lines(t, db, query, &all)
	}
	return all.String()
}

func lines(t *testing.T, db *sql.DB, query string, to *strings.Builder) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s; %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(sql.RawBytes)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(to, "%q ", *v.(*sql.RawBytes))
		}
		to.WriteByte('\n')
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s; %v", query, err)
	}
}

// withoutLine leaves out the line that the later version itself writes.
func withoutLine(content, text string) string {
	all := strings.SplitAfter(content, "\n")
	kept := all[:0]
	for _, line := range all {
		if !strings.Contains(line, fmt.Sprintf("%q", text)) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
