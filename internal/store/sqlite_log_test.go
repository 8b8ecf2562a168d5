package store_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// The write-ahead log is moved into the file while writing goes on, and begins anew: it
// does not grow with what is written.
func TestTheLogOfSQLiteIsMovedWhileItIsWritten(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t, store.SQLite)
	path := strings.TrimPrefix(url, "sqlite:")
	f := newFixture(t, storetest.OpenURL(t, url, nil))
	body := []byte(strings.Repeat("0123456789", 6400)) // 16 pages
	const clients, each = 16, 130                      // 133 MB in all
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				in := leadIntake(fmt.Sprintf("p%d-%d@example.com", c, i), fmt.Sprint("k", c, "-", i))
				in.Event.Body = body
				if _, err := f.acc.Accept(context.Background(), in); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	log, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if log.Size() > 80<<20 || file.Size() < clients*each*int64(len(body))/2 {
		t.Errorf("the log has %d MB, the file %d", log.Size()>>20, file.Size()>>20)
	}
	t.Logf("the log has %d MB, the file %d", log.Size()>>20, file.Size()>>20)
	if n := rowsOf(t, f.db, "events"); n != clients*each {
		t.Errorf("%d events are stored, want %d", n, clients*each)
	}
}
