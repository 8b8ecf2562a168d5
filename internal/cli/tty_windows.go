package cli

import (
	"os"
	"syscall"
)

// virtualTerminal makes a Windows console understand escape sequences.
const virtualTerminal = 0x0004

// terminal reports whether f is a console that understands escape sequences.
func terminal(f *os.File) bool {
	var mode uint32
	h := syscall.Handle(f.Fd())
	if syscall.GetConsoleMode(h, &mode) != nil {
		return false
	}
	ok, _, _ := syscall.NewLazyDLL("kernel32.dll").NewProc("SetConsoleMode").Call(uintptr(h), uintptr(mode|virtualTerminal))
	return ok != 0
}
