// Package migrations embeds the numbered, forward-only migrations of both databases, and
// the rights of the roles on Postgres. The numbers are the same; the files differ only in
// types, partitions and guards.
package migrations

import "embed"

// FS holds sqlite/ and postgres/, and in access/ who may do what on Postgres.
//
//go:embed sqlite/*.sql postgres/*.sql access/*.sql
var FS embed.FS
