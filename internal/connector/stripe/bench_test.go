package stripe

import (
	"os"
	"testing"
)

// BenchmarkTranslate is what reading an event costs once its signature is checked.
func BenchmarkTranslate(b *testing.B) {
	body, err := os.ReadFile("testdata/invoice_paid.json")
	if err != nil {
		b.Fatal(err)
	}
	c := &Connector{connection: "stripe"}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := c.translate(body); err != nil {
			b.Fatal(err)
		}
	}
}
