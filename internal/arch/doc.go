// Package arch holds no code, only tests: the rules of the house that a compiler does
// not know. Who may import whom, how long files and functions get, where time may be
// read, which folders there are and which modules they stand on. Each rule is a line in
// a table with its reason; a test of the rules themselves shows that each one bites.
package arch
