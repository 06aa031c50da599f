package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk is everything that changes files, so that tests can make each step fail
// and cut the power after it.
type disk interface {
	// Mkdir makes dir durably, with mode 0700; it may be there already.
	Mkdir(dir string) error
	// Create makes a new file with mode 0600 or empties the one that is there.
	Create(path string) (file, error)
	// Write opens a file that is there.
	Write(path string) (file, error)
	// Rename replaces what was at to.
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what was created, renamed and removed in dir durable.
	SyncDir(dir string) error
}

type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

type osDisk struct{}

func (d osDisk) Mkdir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil // a file in its place fails at the next step
	}
	if err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(dir))
}

func (osDisk) Create(path string) (file, error) {
	return open0600(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
}

func (osDisk) Write(path string) (file, error) { return open0600(path, os.O_WRONLY) }

func open0600(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err // not a file holding a nil *os.File
	}
	return f, nil
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Remove(path string) error { return os.Remove(path) }

// SyncDir does nothing on Windows, which cannot flush a directory and keeps a journal of its own for names.
func (osDisk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
