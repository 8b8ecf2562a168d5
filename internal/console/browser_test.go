package console

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"bellhop"
	"bellhop/internal/store"
	"bellhop/internal/store/storetest"
)

// chromium starts a real headless browser that calls nobody but the test's server. It is
// never skipped: `make test` installs one.
func chromium(t *testing.T) context.Context {
	t.Helper()
	exe := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			exe = p
			break
		}
	}
	if exe == "" {
		t.Fatal("no Chromium found in PATH; `make test` installs one")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(exe), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-default-apps", true), chromedp.Flag("no-first-run", true),
		chromedp.Flag("metrics-recording-only", true), chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of its first call
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestOperatorFinishesAnOutageByHandInABrowser(t *testing.T) {
	h := start(t, storetest.Open(t, store.SQLite, nil))
	conv, req := h.chat("I was charged twice for the Team plan in October, and nobody answers.")
	task := h.outage(3)
	srv := httptest.NewServer(h.h)
	t.Cleanup(srv.Close)
	ctx := chromium(t)
	const missing = "/console/steps/x"
	var mu sync.Mutex
	var problems []string
	if err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && !strings.HasSuffix(e.Entry.URL, missing) { // what the content policy refused is told here
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, e.Entry.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx,
		chromedp.Navigate(srv.URL+"/console"),
		chromedp.SendKeys(chromedp.CSS("#key"), operatorKey+"\r"),
		chromedp.WaitVisible(chromedp.CSS("#incidents")),
		chromedp.Click(`//a[text()="Open the request that holds them"]`),
		chromedp.WaitVisible(chromedp.CSS("#held")),
		chromedp.Click(`//li[contains(@class,"step")][1]//button[text()="Done by hand"]`),
		chromedp.WaitVisible(chromedp.CSS(".notice")),
	); err != nil {
		t.Fatal(err)
	}
	title, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(".notice")))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(title, "Recorded as done by hand") {
		t.Errorf("the page says %q", title)
	}
	done := h.wait("the step", store.StepFilter{TaskID: task.ID, State: bellhop.StepDone}, atLeast(1))
	if done[0].DoneBy != "operator" {
		t.Errorf("done by %s", done[0].DoneBy)
	}
	steps := h.wait("parked steps", store.StepFilter{State: bellhop.StepParked}, atLeast(1))
	shoot(t, ctx, srv.URL, map[string]string{"today": "/console", "inbox": "/console/inbox", "outage": "/console/inbox/" + task.ID,
		"billing": "/console/inbox/" + req.ID, "steps": "/console/steps", "step": "/console/steps/" + steps[0].ID,
		"story": "/console/story/" + correlation, "connections": "/console/connections", "transcript": TranscriptURL("", h.tokens, conv),
		"missing": missing})
	mu.Lock()
	defer mu.Unlock()
	if len(problems) > 0 {
		t.Errorf("the browser complained: %v", problems)
	}
}

// shoot takes a picture of every page, narrow and wide, light and dark, and checks that
// none is wider than the screen. BELLHOP_SHOTS keeps the pictures in a folder.
func shoot(t *testing.T, ctx context.Context, base string, paths map[string]string) {
	t.Helper()
	dir := os.Getenv("BELLHOP_SHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	for name, path := range paths {
		for _, width := range []int64{360, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
					t.Fatal(err)
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(base+path)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				overflow, err := chromedp.Run(ctx, chromedp.Evaluate[int](
					`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if overflow > 0 {
					t.Errorf("%s at %d px is %d px too wide", name, width, overflow)
				}
				file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
				if err := os.WriteFile(file, png, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
