//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package journal

import (
	"errors"
	"fmt"
	"io"
)

// lockDir refuses: without a lock that ends with the process, two of them could write one journal.
func lockDir(string) (io.Closer, error) {
	return nil, fmt.Errorf("lock a directory on this system: %w", errors.ErrUnsupported)
}
