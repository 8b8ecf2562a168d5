//go:build unix

package chaos

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// movedClock is a machine's clock that is off by as much as a file says. The file is
// mapped, so that a jump takes effect at once, also in a process that is stopped.
//
// Its times carry no monotonic reading: two readings differ by what the wall clock shows,
// which is harder on the product than a real jump.
type movedClock struct{ offset *int64 }

func openClock(path string) (movedClock, error) {
	f, err := os.Open(path)
	if err != nil {
		return movedClock{}, err
	}
	defer f.Close()
	page, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return movedClock{}, err
	}
	return movedClock{(*int64)(unsafe.Pointer(&page[0]))}, nil // a page is aligned
}

// Now returns the moved time.
func (c movedClock) Now() time.Time {
	return time.Now().Add(time.Duration(atomic.LoadInt64(c.offset))).Round(0).UTC()
}

// setClock moves the clock of the file.
func setClock(path string, offset time.Duration) error {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(offset))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(b[:], 0)
	return err
}
