package watch

import "context"

// FlushDue writes what is due, as the ticker does.
func FlushDue(s *Security) { s.flush(context.Background(), false) }
