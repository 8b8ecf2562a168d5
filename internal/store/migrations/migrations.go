// Package migrations embeds the numbered, forward-only migrations of both databases.
// The numbers are the same; the files differ only in types, partitions and guards.
package migrations

import "embed"

// FS holds sqlite/ and postgres/.
//
//go:embed sqlite/*.sql postgres/*.sql
var FS embed.FS
