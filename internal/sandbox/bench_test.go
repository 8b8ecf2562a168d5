package sandbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkUpsert is the rate of HubSpot upserts of new contacts over sockets.
func BenchmarkUpsert(b *testing.B) {
	bench(b, "/hubspot"+upsertPath, func(n int64) string { return upsertBody("u" + strconv.FormatInt(n, 10) + "@example.com") })
}

// BenchmarkTicket is the rate of Zendesk tickets with a key over sockets.
func BenchmarkTicket(b *testing.B) {
	bench(b, "/zendesk"+ticketsPath, func(n int64) string { return ticketBody("n" + strconv.FormatInt(n, 10)) })
}

func bench(b *testing.B, path string, body func(int64) string) {
	srv := httptest.NewServer(New(Options{}).Handler())
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			req, err := http.NewRequest("POST", srv.URL+path, strings.NewReader(body(i)))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+Token)
			req.Header.Set("Idempotency-Key", strconv.FormatInt(i, 10))
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body) // only the connection's reuse matters
			resp.Body.Close()
			if resp.StatusCode >= 300 {
				b.Errorf("status %d", resp.StatusCode)
			}
		}
	})
}
