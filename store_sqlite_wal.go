package chatroom

import (
	"context"
	"database/sql"
	"fmt"
)

// walKeeper bounds the write-ahead log. It belongs to whoever has the turn, but
// for db.
//
// After every walCheckpointPages that commits have added, a connection of its
// own copies the log into the file (a passive checkpoint: it waits for nobody)
// while the writer goes on. What the writer has added meanwhile is little, and is
// copied between two transactions. When all is copied and nobody reads
// from the log, the next commit starts the log over. Reads that overlap without
// a pause could prevent that for ever; so from walRestartPages on it makes the
// readers that come next read the file and waits walPatienceMillis for those
// before them to end.
//
// So the log stays at about walRestartPages, 16 MiB, plus what is written during a copy, at most
// 8 MiB, and 8 MiB for each attempt that readers outlast. The exception is a read that lasts:
// SQLite must keep what that read may see. The store's own reads have limits and
// last milliseconds, but Backup or a foreign process may read for long; then the
// log grows by what is written meanwhile, an attempt is made once per
// walCheckpointPages, and the first one after the read has ended brings it back
// to walKeepBytes.
type walKeeper struct {
	pages int64 // in the log, when last seen
	next  int64 // how many make the next checkpoint due

	db     *sql.DB       // checkpoints beside the writer
	beside chan struct{} // closed when db's checkpoint has ended; nil when there was none since the last of the writer's
}

const (
	walCheckpointPages = 2000 // 8 MiB: a room's last page is copied half as often as with SQLite's default
	walRestartPages    = 2 * walCheckpointPages
	walPatienceMillis  = 250 // 100 was too short for some attempts on a machine with three times the load it has cores for
	walKeepBytes       = 16 << 20
)

// open gets the second connection its descriptors. The schema is there.
func (k *walKeeper) open(path string) (err error) {
	k.db, err = sql.Open("sqlite", dataSource(path, "mode=rw", pragma("synchronous", "FULL")))
	if err != nil {
		return err
	}
	k.db.SetMaxOpenConns(1)
	return k.db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(new(int))
}

// close waits for a checkpoint that is going on.
func (k *walKeeper) close() error {
	if k.beside != nil {
		<-k.beside
	}
	if k.db == nil {
		return nil
	}
	return k.db.Close()
}

// keep runs after a transaction. A checkpoint that fails loses nothing; the disk
// trouble behind it shows in the next Append, and the checkpoint is tried again.
func (k *walKeeper) keep(w *sqliteWriter) {
	var busy, pages, copied int64
	if err := w.stmt.walState.QueryRow().Scan(&busy, &pages, &copied); err != nil {
		return
	}
	if pages < k.pages || k.next == 0 { // started over
		k.next = walCheckpointPages
	}
	k.pages = pages
	if pages < k.next {
		return
	}
	if k.beside == nil {
		k.beside = make(chan struct{})
		go func(done chan struct{}) { // close waits for it
			defer close(done)
			_, _ = k.db.Exec("PRAGMA wal_checkpoint(PASSIVE)")
		}(k.beside)
		return
	}
	select {
	case <-k.beside:
	default:
		if pages < k.next+walCheckpointPages {
			return
		}
		<-k.beside // the disk cannot keep up
	}
	k.beside = nil
	k.next = pages + walCheckpointPages
	k.finish(w, pages)
}

// finish copies the rest, with the turn.
func (k *walKeeper) finish(w *sqliteWriter, pages int64) {
	ctx := context.Background()
	if pages < walRestartPages {
		_, _ = w.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		return
	}
	for _, q := range []string{
		fmt.Sprintf("PRAGMA busy_timeout = %d", walPatienceMillis),
		"PRAGMA wal_checkpoint(RESTART)",
		fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeoutMillis),
	} {
		_, _ = w.conn.ExecContext(ctx, q)
	}
}
