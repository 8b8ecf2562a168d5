package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bellhop"
	"bellhop/internal/sandbox"
)

func testSession(t *testing.T, out io.Writer) *session {
	t.Helper()
	return &session{ctx: t.Context(), stdin: strings.NewReader(""), stdout: out, stderr: io.Discard,
		env: func(string) (string, bool) { return "", false }, clock: bellhop.SystemClock{}}
}

// codeOf is the exit code that an error makes.
func codeOf(err error) int {
	if err == nil {
		return exitGood
	}
	return fail(io.Discard, err)
}

func TestDemoHoldsEveryExpectation(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := (&demoCmd{Once: true}).Run(testSession(t, &out))
	if codeOf(err) != exitGood || strings.Contains(out.String(), "✗") {
		t.Fatalf("exit %d: %v\n%s", codeOf(err), err, out.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences where there is no terminal")
	}
}

func TestDemoTellsWhatDidNotHold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &demoCmd{Once: true, patience: 3 * time.Second, meddle: func(box *sandbox.Server) {
		box.SetFaults(sandbox.Zendesk, sandbox.Fault{Mode: sandbox.FaultDown})
	}}
	err := c.Run(testSession(t, &out))
	if codeOf(err) != exitFindings {
		t.Fatalf("exit %d: %v\n%s", codeOf(err), err, out.String())
	}
	for _, want := range []string{"Question: Charged twice", "In all", "did not hold"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	if !strings.Contains(out.String(), "expected:") {
		t.Errorf("the table does not say what was expected:\n%s", out.String())
	}
}

func TestDemoThatIsStoppedLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := testSession(t, io.Discard)
	s.ctx = ctx
	c := &demoCmd{Once: true, meddle: func(*sandbox.Server) { cancel() }}
	if err := c.Run(s); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// The demo drives every part: chat, webhooks, vendors, an outage. Its log must hold
// nothing of what customers said or of what keys there are.
func TestNoSecretAndNoPersonGetsIntoTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := (&demoCmd{Once: true, Keep: dir}).Run(testSession(t, io.Discard)); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "bellhop.log"))
	if err != nil {
		t.Fatal(err)
	}
	if len(log) == 0 {
		t.Fatal("the log is empty: nothing was tested")
	}
	forbidden := []string{sandbox.Token, sandbox.StripeKey, sandbox.DefaultStripeWebhookSecret, "/slack/services", "bhv1_",
		"demo-", "agent@fernly.example", "Bearer"}
	for _, l := range leadTalks() {
		forbidden = append(forbidden, l.want["email"], l.want["phone"], l.want["lastname"], l.want["company"])
		forbidden = append(forbidden, l.turns...)
	}
	for _, h := range helpTalks() {
		forbidden = append(forbidden, h.text)
	}
	for _, f := range forbidden {
		if bytes.Contains(bytes.ToLower(log), []byte(strings.ToLower(f))) {
			t.Errorf("the log holds %q", f)
		}
	}
	if at := regexp.MustCompile(`[\w.]+@[\w.]+`).Find(log); at != nil {
		t.Errorf("the log holds an address: %s", at)
	}
}
