package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// errorSharingViolation is what Windows answers when somebody has the file open without sharing it.
const errorSharingViolation syscall.Errno = 32

// lockDir opens a file in dir that nobody else can open meanwhile. Windows closes it when the process ends.
func lockDir(dir string) (io.Closer, error) {
	path := filepath.Join(dir, "lock")
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("lock %q: %w", path, err)
	}
	return os.NewFile(uintptr(h), path), nil
}
