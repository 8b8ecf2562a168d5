package cli

import "runtime/debug"

// gcPercent is how much a server's heap may grow between two collections, in percent of
// what is in use: fewer collections, for memory that every machine has.
const gcPercent = 200

// tuneMemory sets the garbage collector for a server, unless the operator has set GOGC
// or GOMEMLIMIT.
func tuneMemory(env func(string) (string, bool)) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := env(name); set {
			return
		}
	}
	debug.SetGCPercent(gcPercent)
}
