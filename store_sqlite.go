package chatroom

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// SQLite is a Store in one SQLite file. It is what most hosts want: nothing to
// install, an acknowledged message survives kill -9 and power loss, and one file
// holds 100,000 rooms.
//
// One connection writes, a few others read beside it and never wait for it.
// Whoever opened the store closes it; a hub never does.
type SQLite struct {
	path string

	// Immutable after OpenSQLite. readers is a pool of read-only connections,
	// lock holds the sidecar file that keeps a second hub out.
	readers *sql.DB
	read    readStatements
	lock    *sql.DB

	// turn holds a token while somebody owns writer, which goes by turns.
	turn   chan struct{}
	writer sqliteWriter

	mu     sync.Mutex
	closed bool          // guarded by mu
	marks  []*markToRead // guarded by mu: waiting for the next turn

	closing   chan struct{}  // closed by Close
	flushes   sync.WaitGroup // goroutines that store marks
	closeOnce sync.Once
	closeErr  error
}

var (
	_ Store       = (*SQLite)(nil)
	_ ReadMarker  = (*SQLite)(nil)
	_ KeyFinder   = (*SQLite)(nil)
	_ ClockKeeper = (*SQLite)(nil)
)

// errStoreClosed is what every method answers after Close.
var errStoreClosed = errors.New("the store is closed")

const (
	// readConnections is how many reads run at the same time; more wait. Reads
	// take a fraction of a millisecond, and each connection keeps its own page cache.
	readConnections = 4

	// A foreign process that locks the file (a copy being made, somebody's
	// sqlite3 shell) is waited for this long before an operation fails; the hub
	// then tries again. Callers that stop waiting sooner return sooner.
	busyTimeoutMillis = 5000
)

// OpenSQLite opens the store in the file at path and creates it, with mode 0600,
// when there is none. Beside it SQLite keeps path-wal and path-shm, and the store
// keeps path.lock: an empty file that is locked while the store is open and stays
// afterwards. A second OpenSQLite of the same file fails, in this process or
// another; when a process dies, the lock is free at once.
//
// A file that is not a chatroom store, is damaged or was written by a newer
// version is refused and left as it is. Files up to quickCheckBytes are checked
// page by page; of larger ones only the header and the schema.
//
// Nothing else in the process may open and close the file while the store is
// open: closing it would drop SQLite's locks (a POSIX rule). Use Backup for copies.
// The file belongs on a local disk.
func OpenSQLite(path string) (*SQLite, error) {
	s, err := openSQLite(path)
	if err != nil {
		return nil, fmt.Errorf("chatroom: open SQLite store %q: %w", path, err)
	}
	return s, nil
}

func openSQLite(path string) (_ *SQLite, err error) {
	path, err = resolvePath(path)
	if err != nil {
		return nil, err
	}
	s := &SQLite{path: path, turn: make(chan struct{}, 1), closing: make(chan struct{})}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	if err := s.writer.open(path); err != nil {
		return nil, err
	}
	// Only now, when the schema is there. query_only is a second guard beside mode=ro.
	s.readers, err = sql.Open("sqlite", dataSource(path, "mode=ro", pragma("busy_timeout", busyTimeoutMillis), pragma("query_only", 1)))
	if err != nil {
		return nil, err
	}
	s.readers.SetMaxOpenConns(readConnections)
	s.readers.SetMaxIdleConns(readConnections)
	if err := s.read.prepare(s.readers); err != nil {
		return nil, err
	}
	if err := s.openReaders(); err != nil {
		return nil, err
	}
	return s, nil
}

// openReaders opens all connections of the pool and reads with each, so that the
// store has its descriptors before a crowd of clients uses up those of the process.
func (s *SQLite) openReaders() error {
	ctx := context.Background()
	for range readConnections {
		conn, err := s.readers.Conn(ctx)
		if err != nil {
			return fmt.Errorf("open a reader: %w", err)
		}
		defer conn.Close() // back into the pool
		var highest int64
		if err := conn.QueryRowContext(ctx, sqlMaxSeq).Scan(&highest); err != nil {
			return fmt.Errorf("try a reader: %w", err)
		}
	}
	return nil
}

// Close waits for the write that is going on and closes the file. Reads still
// going on may fail. After it every method returns an error; closing again
// returns what the first Close did.
func (s *SQLite) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		s.flushes.Wait()
		s.turn <- struct{}{} // and never given back
		if err := s.release(); err != nil {
			s.closeErr = fmt.Errorf("chatroom: close SQLite store %q: %w", s.path, err)
		}
	})
	return s.closeErr
}

// release closes what is open: readers first, so that the writer is the last
// connection and folds the write-ahead log into the file; then the lock.
func (s *SQLite) release() error {
	var errs []error
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	errs = append(errs, s.writer.close())
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Backup writes a consistent copy of the store into a new file at path, while
// the store goes on. It refuses a path that exists. When ctx ends or the copy
// fails the unfinished file is removed. The copy is a snapshot of the moment it
// began, compact, and opens like any store. Until it is done the write-ahead log
// keeps what is written meanwhile.
func (s *SQLite) Backup(ctx context.Context, path string) error {
	err := ctx.Err()
	if err == nil && s.isClosed() {
		err = errStoreClosed
	}
	if err == nil {
		err = s.backup(ctx, path)
	}
	return s.failed(ctx, fmt.Sprintf("back up to %q", path), err)
}

func (s *SQLite) backup(ctx context.Context, path string) error {
	if path == "" {
		return errors.New("the path is empty")
	}
	// Made here, so that it is ours alone, with mode 0600; VACUUM INTO takes an empty file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := s.copyInto(ctx, path); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFile(path)
}

// copyInto uses a connection of its own: one that may only read cannot write
// the copy either, and the writer has better to do.
func (s *SQLite) copyInto(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dataSource(s.path, "mode=rw", pragma("busy_timeout", busyTimeoutMillis)))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", dataSource(abs))
	return errors.Join(err, db.Close())
}

// syncFile makes a finished copy durable; VACUUM INTO itself does not.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// resolvePath makes path absolute and follows links, so that one file has one
// lock however it is named.
func resolvePath(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty")
	case path == ":memory:":
		return "", errors.New("not a file; use NewMemoryStore")
	case strings.ContainsRune(path, 0):
		return "", errors.New("the path contains a NUL byte")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, fs.ErrNotExist) {
		// A new file; its directory may still be a link.
		dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
		if err != nil {
			return "", err
		}
		return filepath.Join(dir, filepath.Base(abs)), nil
	}
	return resolved, err
}

// prepareFile creates the file when there is none, so that it has its mode from
// the start, and refuses what SQLite would take for a new database though
// something was there.
func prepareFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if info.Size() == 0 {
		if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
			return errors.New("damaged: the file is empty, but there is a write-ahead log beside it")
		}
	}
	return nil
}

// lockFile takes the lock that keeps a second hub out. It is an ordinary SQLite
// lock, held by a transaction that never ends on an empty database, so it is
// portable and the kernel frees it when the process dies.
func lockFile(path string) (*sql.DB, error) {
	// O_EXCL, because to open and close a file that a store of this process has locked would free it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	db, err := sql.Open("sqlite", dataSource(path, pragma("busy_timeout", 0)))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // the one that holds the lock; database/sql keeps it idle, without a time limit
	if _, err := db.Exec("BEGIN EXCLUSIVE"); err != nil {
		if code, _ := sqliteCode(err); code == codeBusy {
			err = errors.New("it is in use by another store, in this process or another")
		} else {
			err = fmt.Errorf("lock %q: %w", path, err)
		}
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dataSource names a file to SQLite: as a URI, because a plain name ends at "?".
func dataSource(path string, params ...string) string {
	var b strings.Builder
	b.WriteString("file://")
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		b.WriteByte('/') // C:/dir/file
	}
	for _, c := range []byte(path) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/:-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	for i, p := range params {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(p)
	}
	return b.String()
}

func pragma(name string, value any) string { return fmt.Sprintf("_pragma=%s(%v)", name, value) }
