package chatroom

import (
	"context"
	"fmt"
)

// walKeeper bounds the write-ahead log. It belongs to whoever has the turn.
//
// After every walCheckpointPages that commits have added it copies the log into
// the file (a passive checkpoint: it waits for nobody), between two
// transactions, so that no ack waits for it. When all is copied and nobody reads
// from the log, the next commit starts the log over. Reads that overlap without
// a pause could prevent that for ever; so from walRestartPages on it makes the
// readers that come next read the file and waits walPatienceMillis for those
// before them to end.
//
// So the log stays at about walRestartPages, 16 MiB, plus one batch, and 4 MiB
// for each attempt that readers outlast. The exception is a read that lasts:
// SQLite must keep what that read may see. The store's own reads have limits and
// last milliseconds, but Backup or a foreign process may read for long; then the
// log grows by what is written meanwhile, an attempt is made once per
// walCheckpointPages, and the first one after the read has ended brings it back
// to walKeepBytes.
type walKeeper struct {
	pages int64 // in the log, when last seen
	next  int64 // how many make the next checkpoint due
}

const (
	walCheckpointPages = 1000 // 4 MiB; SQLite's own default for its automatic checkpoint
	walRestartPages    = 4 * walCheckpointPages
	walPatienceMillis  = 250 // 100 was too short for some attempts on a machine with three times the load it has cores for
	walKeepBytes       = 8 << 20
)

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
	k.next = pages + walCheckpointPages
	if pages < walRestartPages {
		k.checkpoint(w, "PASSIVE")
		return
	}
	ctx := context.Background()
	_, _ = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", walPatienceMillis))
	k.checkpoint(w, "RESTART")
	_, _ = w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeoutMillis))
}

func (k *walKeeper) checkpoint(w *sqliteWriter, mode string) {
	_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")")
}
