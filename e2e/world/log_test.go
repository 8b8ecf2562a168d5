package world_test

import (
	"os"
	"path/filepath"
	"testing"

	"bellhop/e2e/world"
	"bellhop/internal/sandbox"
)

func TestLogLeaks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	text := "level=INFO msg=started\nmsg=x who=ada@example.com\nmsg=y who=ada@example.com key=k-123\nurl=/" + sandbox.Token + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := world.LogLeaks(path, "k-123"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(path, []byte("level=INFO msg=started version=v1.2.3@main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := world.LogLeaks(path, "k-123"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := world.LogLeaks(path + ".gone"); len(got) != 1 {
		t.Errorf("a log that is not there: %q", got)
	}
}
