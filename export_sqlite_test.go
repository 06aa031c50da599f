package chatroom

import (
	"context"
	"io/fs"
)

// SQLiteSchema are the files of the schema, in the folder sqlite.
func SQLiteSchema() fs.FS { return sqliteFiles }

// SetSQLiteSchema makes this process a version of the library that has these.
func SetSQLiteSchema(files fs.FS) { sqliteSchema = files }

// ExecOnWriter runs a statement on the connection that writes.
func (s *SQLite) ExecOnWriter(ctx context.Context, query string) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	_, err := s.writer.conn.ExecContext(ctx, query)
	return err
}

// SQLiteReads are the statements that read, by name.
var SQLiteReads = map[string]string{
	"before": sqlBefore, "newest": sqlNewest, "after": sqlAfter, "around": sqlAround, "reactions": sqlReactions,
	"events": sqlEvents, "lastSeq": sqlLastSeq, "findKey": sqlFindKey, "mark": sqlMark, "unread": sqlUnread,
}

const (
	SQLNewest = sqlNewest

	WALRestartPages = walRestartPages
	WALKeepBytes    = walKeepBytes
)
