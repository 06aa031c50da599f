package chatroom

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

//go:embed sqlite/*.sql
var sqliteFiles embed.FS

// sqliteSchema holds one file per schema version, in order: 0001.sql makes
// version 1 out of an empty file, 0002.sql will make version 2 out of that.
// Only a test that needs a further version changes it.
var sqliteSchema fs.FS = sqliteFiles

const (
	// applicationID marks a file as a chatroom store ("chat" in ASCII), for us and for file(1).
	applicationID = 0x63686174

	// quickCheckBytes is the largest file that is checked page by page when it is
	// opened, so that opening stays fast: 19 MiB took 37 ms. Damage in a larger one
	// shows when the damaged page is read.
	quickCheckBytes = 64 << 20
)

// openSchema checks that the database is one of ours, whole and not too new, and
// brings it up to the newest version. Until the checks are passed it only reads.
func openSchema(db *sql.Conn, path string) error {
	ctx := context.Background()
	steps, err := fs.Glob(sqliteSchema, "sqlite/*.sql")
	if err != nil {
		return err
	}
	version, err := checkDatabase(ctx, db, path, len(steps))
	if err != nil {
		return err
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return fmt.Errorf("switch to a write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("the file system allows no write-ahead log (journal mode %q)", mode)
	}
	for ; version < len(steps); version++ {
		if err := migrate(ctx, db, steps[version], version+1); err != nil {
			return fmt.Errorf("migrate from schema version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}

// checkDatabase returns the schema version, 0 for a new file.
func checkDatabase(ctx context.Context, db *sql.Conn, path string, newest int) (version int, err error) {
	failed := func(check string, err error) (int, error) {
		if code, _ := sqliteCode(err); code == codeCorrupt || code == codeNotADB {
			return 0, fmt.Errorf("not a SQLite database or damaged: %s failed: %w", check, err)
		}
		return 0, fmt.Errorf("%s: %w", check, err)
	}
	var id, tables int
	// The first statement that reads the file, and with it the header.
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return failed("the check of header and schema", err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return failed("reading the application ID", err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return failed("reading the schema version", err)
	}
	switch {
	case tables == 0 && id == 0 && version == 0:
		return 0, nil
	case id != applicationID:
		return 0, fmt.Errorf("a SQLite database, but not a chatroom store (application ID %#x, not %#x)", id, applicationID)
	case version > newest:
		return 0, fmt.Errorf("written by a newer version of chatroom: its schema version is %d, this one knows up to %d", version, newest)
	case version < 1:
		return 0, fmt.Errorf("damaged: a chatroom store with schema version %d", version)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if info.Size() > quickCheckBytes {
		return version, nil
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return failed("PRAGMA quick_check", err)
	}
	if found != "ok" {
		return 0, fmt.Errorf("damaged: PRAGMA quick_check found: %s", found)
	}
	return version, nil
}

// migrate takes one step in one transaction, so a process that dies in it leaves the old version.
func migrate(ctx context.Context, db *sql.Conn, file string, version int) (err error) {
	script, err := fs.ReadFile(sqliteSchema, file)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	// PRAGMA takes no parameters. Both values are in the header, which the transaction covers.
	for _, q := range []string{
		string(script),
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", version),
		"COMMIT",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			_, rollbackErr := db.ExecContext(ctx, "ROLLBACK")
			return errors.Join(err, rollbackErr)
		}
	}
	return nil
}
