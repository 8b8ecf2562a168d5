package storetest

import "syscall"

// endWithParent has the kernel end the server when the thread that started it ends:
// the second net beside the watchdog.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
