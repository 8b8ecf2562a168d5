//go:build !windows

package cli

import "os"

// terminal reports whether f is a terminal. /dev/null counts as one, which does no harm:
// nobody reads what goes there.
func terminal(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
