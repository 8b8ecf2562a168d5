// Package supabase_test runs the Edge Functions under real Deno against a real Bellhop.
package supabase_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"bellhop/internal/cli"
	"bellhop/internal/sandbox"
)

const (
	serverKey = "functions-test-server-key-01"
	site      = "https://app.example.com"
	project   = "https://ref.supabase.co"
	// projectSecret signs users' tokens, as projects with the shared secret do.
	projectSecret = "functions-test-secret-of-the-project-0123456789"
	traceID       = "0af7651916cd43dd8448eb211c80319c"
)

// deno returns the program: BELLHOP_DENO, the one in PATH, or the one that
// scripts/install-test-deps.sh has put into the user's cache.
func deno(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("BELLHOP_DENO"); p != "" {
		return p
	}
	if p, err := exec.LookPath("deno"); err == nil {
		return p
	}
	if cache, err := os.UserCacheDir(); err == nil {
		found, err := filepath.Glob(filepath.Join(cache, "bellhop-test-deps", "deno", "node_modules", "@deno", "*", "deno*"))
		if err == nil && len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("there is no Deno: run scripts/install-test-deps.sh deno, or set BELLHOP_DENO")
	return ""
}

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// world is a Bellhop that can be stopped and started, and the functions before it.
type world struct {
	t       *testing.T
	http    *http.Client
	box     *sandbox.Server
	config  string
	bellhop string // its URL
	stop    func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Setenv("BELLHOP_SERVER_KEY", serverKey)
	dir, addr := t.TempDir(), freeAddress(t)
	w := &world{t: t, http: &http.Client{Timeout: 30 * time.Second}, box: sandbox.New(sandbox.Options{SearchLag: -1}),
		config: filepath.Join(dir, "bellhop.yaml"), bellhop: "http://" + addr}
	run, err := w.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := fmt.Sprintf("listen: %s\ndatabase: %q\nauth:\n  supabase: {url: "+project+", jwt_secret: "+projectSecret+"}\nconnections:\n  - {name: crm, vendor: hubspot, base_url: %q, token: %s}\n"+
		"  - {name: stripe, vendor: stripe, base_url: %q, secret_key: %s, webhook_secrets: [%q]}\n", addr,
		"sqlite:"+filepath.Join(dir, "b.db"), sandbox.BaseURL(run.URL, "hubspot"), sandbox.Token, sandbox.BaseURL(run.URL, "stripe"),
		sandbox.StripeKey, sandbox.DefaultStripeWebhookSecret)
	if err := os.WriteFile(w.config, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		w.stop()
		run.Close()
	})
	w.start()
	return w
}

// start runs the real server in this process; w.stop ends it as an operator does.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(ctx, []string{"serve", "--config", w.config}, strings.NewReader(""), io.Discard, &log, cli.Build{Version: "test"})
	}()
	w.stop = func() {
		cancel()
		w.stop = func() {}
		if code := <-done; code != 0 {
			w.t.Errorf("the server ended with %d: %s", code, log.String())
		}
	}
	w.answers(w.bellhop + "/readyz")
}

// answers waits until something answers at a URL.
func (w *world) answers(url string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := w.http.Get(url); err == nil {
			resp.Body.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("nothing answers at %s", url)
		}
	}
}

// function starts an Edge Function as the platform does, with no right but to call and to
// read its environment, and without anything from elsewhere. It returns its URL.
func (w *world) function(name, bellhop string) string {
	w.t.Helper()
	addr, errs := freeAddress(w.t), &bytes.Buffer{}
	cmd := exec.Command(deno(w.t), "run", "--no-remote", "--no-npm", "--no-prompt", "--no-config", "--no-lock", "--allow-net=127.0.0.1",
		"--allow-env=BELLHOP_URL,BELLHOP_SERVER_KEY,BELLHOP_ALLOWED_ORIGINS", filepath.Join("functions", name, "index.ts"))
	cmd.Env = append(os.Environ(), "DENO_DIR="+w.t.TempDir(), "DENO_NO_UPDATE_CHECK=1", "NO_COLOR=1", "DENO_SERVE_ADDRESS=tcp:"+addr,
		"BELLHOP_URL="+bellhop, "BELLHOP_SERVER_KEY="+serverKey, "BELLHOP_ALLOWED_ORIGINS="+site+", https://www.example.com/")
	cmd.Stdout, cmd.Stderr = io.Discard, errs
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it always ends with "killed"
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", name, errs)
		}
	})
	url := "http://" + addr + "/" + name
	w.answers(url)
	return url
}

// answer is what a function answered.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

func (w *world) call(method, url, body string, header ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(data)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(data, &a.json); err != nil {
			w.t.Errorf("%s %s: %v in %q", method, url, err, data)
		}
	}
	return a
}

// wantProblem checks that an answer is an error that says what to do.
func (w *world) wantProblem(what string, a answer, status int, retryable bool) {
	w.t.Helper()
	next, _ := a.json["next_step"].(string)
	if a.status != status || a.json["retryable"] != retryable || next == "" || a.json["correlation_id"] == "" ||
		a.header.Get("Content-Type") != "application/problem+json" {
		w.t.Errorf("%s: %d %s (%s)", what, a.status, a.text, a.header.Get("Content-Type"))
	}
}

func TestEdgeFunctions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the functions run on the platform's Linux")
	}
	w := newWorld(t)
	chat, lead, relay := w.function("chat", w.bellhop), w.function("lead", w.bellhop), w.function("webhook-relay", w.bellhop)
	t.Run("a chat turn", func(t *testing.T) { w.with(t).chatTurn(chat) })
	t.Run("origins", func(t *testing.T) { w.with(t).origins(chat, lead) })
	t.Run("a lead twice", func(t *testing.T) { w.with(t).leadTwice(lead) })
	t.Run("a webhook", func(t *testing.T) { w.with(t).webhook(relay) })
	t.Run("Bellhop is down", func(t *testing.T) { w.with(t).down(chat, lead, relay) })
	t.Run("something else answers", func(t *testing.T) { w.with(t).notBellhop() })
}

// with returns the world for a part of the test.
func (w *world) with(t *testing.T) *world {
	c := *w
	c.t = t
	return &c
}

func (w *world) chatTurn(chat string) {
	const trace = "00-" + traceID + "-b7ad6b7169203331-01"
	visitor := w.call("POST", chat+"/visitors", "", "Origin", site)
	token, _ := visitor.json["token"].(string)
	auth := []string{"Authorization", "Bearer " + token, "Content-Type", "application/json", "traceparent", trace, "Origin", site}
	conv := w.call("POST", chat+"/conversations", "{}", auth...)
	id, _ := conv.json["id"].(string)
	if visitor.status != http.StatusCreated || conv.status != http.StatusCreated || id == "" {
		w.t.Fatalf("visitor %d %s, conversation %d %s", visitor.status, visitor.text, conv.status, conv.text)
	}
	turn := w.call("POST", chat+"/conversations/"+id+"/messages", `{"id":"m1","text":"Hello, what do you cost?"}`, auth...)
	reply, _ := turn.json["reply"].(map[string]any)
	if turn.status != http.StatusOK || reply["text"] == "" || turn.json["correlation_id"] != traceID ||
		turn.header.Get("X-Correlation-Id") != traceID {
		w.t.Errorf("turn: %d %s, correlation %q", turn.status, turn.text, turn.header.Get("X-Correlation-Id"))
	}
	again := w.call("POST", chat+"/conversations/"+id+"/messages", `{"id":"m1","text":"Hello, what do you cost?"}`, auth...)
	if first, second := reply["id"], again.json["reply"].(map[string]any)["id"]; first != second {
		w.t.Errorf("the same message again: reply %v, first %v", second, first)
	}
	stream := w.call("POST", chat+"/conversations/"+id+"/messages", `{"id":"m2","text":"And support?"}`, append(auth, "Accept", "text/event-stream")...)
	if stream.status != http.StatusOK || !strings.Contains(stream.text, "event: done") {
		w.t.Errorf("stream: %d %q", stream.status, stream.text)
	}
	w.signIn(chat, id, token)
	w.wantProblem("without a token", w.call("GET", chat+"/conversations/"+id, ""), http.StatusUnauthorized, false)
	w.wantProblem("a route for operators", w.call("GET", chat+"/ops/steps", ""), http.StatusNotFound, false)
	w.wantProblem("out of the API", w.call("GET", chat+"/..%2f..%2fmetrics", ""), http.StatusNotFound, false)
	w.wantProblem("another method", w.call("DELETE", chat+"/visitors", ""), http.StatusMethodNotAllowed, false)
	if made := w.call("GET", chat+"/nothing", "").header.Get("Traceparent"); len(made) != 55 {
		w.t.Errorf("no correlation id was made: %q", made)
	}
}

func (w *world) origins(urls ...string) {
	for _, url := range urls {
		pre := w.call("OPTIONS", url, "", "Origin", site, "Access-Control-Request-Method", "POST")
		if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Origin") != site ||
			!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "idempotency-key") {
			w.t.Errorf("preflight %d %v", pre.status, pre.header)
		}
		bad := w.call("POST", url, "{}", "Origin", "https://evil.example")
		w.wantProblem("a page of somebody else's", bad, http.StatusForbidden, false)
		if bad.header.Get("Access-Control-Allow-Origin") != "" {
			w.t.Errorf("the page of somebody else's may read the answer")
		}
	}
}

func (w *world) leadTwice(lead string) {
	const body = `{"name":"Ada Byron","email":"ada@example.com","message":"a demo"}`
	first := w.call("POST", lead, body, "Idempotency-Key", "form-1", "Content-Type", "application/json")
	again := w.call("POST", lead, body, "Idempotency-Key", "form-1", "Content-Type", "application/json")
	if first.status != http.StatusAccepted || again.status != http.StatusOK || first.json["id"] != again.json["id"] || first.json["id"] == nil {
		w.t.Errorf("first %d %s, again %d %s", first.status, first.text, again.status, again.text)
	}
	// Whoever fills in the form is a stranger: what they say of a user does not count.
	forged := w.call("POST", lead, strings.Replace(body, "{", `{"user_id":"somebody-else",`, 1), "Idempotency-Key", "form-1")
	if forged.json["id"] != first.json["id"] {
		w.t.Errorf("user_id went through: %d %s", forged.status, forged.text)
	}
	w.wantProblem("another body", w.call("POST", lead, `{"email":"bob@example.com"}`, "Idempotency-Key", "form-1"), http.StatusConflict, false)
	w.wantProblem("no JSON", w.call("POST", lead, "name=Ada", "Idempotency-Key", "form-2"), http.StatusUnprocessableEntity, false)
	w.wantProblem("too large", w.call("POST", lead, strings.Repeat(" ", 1<<20+1)), http.StatusRequestEntityTooLarge, false)
}

func (w *world) events() []sandbox.Event {
	return w.box.Stripe().PayCheckout(sandbox.CheckoutParams{Email: "ada@example.com", Name: "Ada Byron", Amount: 4900, Currency: "eur"})
}

// deliver sends events as Stripe does and returns the statuses and the answers.
func (w *world) deliver(relay string, evs []sandbox.Event) (status int, body string) {
	w.t.Helper()
	res, err := w.box.Deliver(context.Background(), relay+"/stripe", evs, sandbox.DeliverOpts{})
	if err != nil || len(res) == 0 {
		w.t.Fatalf("%d deliveries, %v", len(res), err)
	}
	for _, r := range res {
		if r.Status != res[0].Status {
			w.t.Errorf("%s: %d, the first %d", r.Type, r.Status, res[0].Status)
		}
	}
	return res[0].Status, res[0].Body
}

func (w *world) webhook(relay string) {
	evs := w.events()
	if status, body := w.deliver(relay, evs); status != http.StatusOK || !strings.Contains(body, `"accepted"`) {
		w.t.Errorf("first delivery: %d %s", status, body)
	}
	if status, body := w.deliver(relay, evs); status != http.StatusOK || !strings.Contains(body, `"duplicate"`) {
		w.t.Errorf("second delivery: %d %s", status, body)
	}
	w.wantProblem("a forged signature", w.call("POST", relay+"/stripe", `{"id":"evt_x"}`, "Stripe-Signature", "t=1,v1=00"), http.StatusBadRequest, false)
	w.wantProblem("no such connection", w.call("POST", relay+"/nobody", "{}"), http.StatusNotFound, false)
	w.wantProblem("no connection", w.call("POST", relay, "{}"), http.StatusNotFound, false)
	w.wantProblem("a GET", w.call("GET", relay+"/stripe", ""), http.StatusMethodNotAllowed, false)
}

// down stops Bellhop: nothing is answered with success, and what is sent again later is
// taken in as new.
func (w *world) down(chat, lead, relay string) {
	w.stop()
	evs := w.events()
	if status, body := w.deliver(relay, evs); status != http.StatusBadGateway || !strings.Contains(body, `"retryable":true`) {
		w.t.Errorf("a webhook while Bellhop is down: %d %s", status, body)
	}
	w.wantProblem("a lead", w.call("POST", lead, `{"email":"late@example.com"}`, "Idempotency-Key", "late"), http.StatusBadGateway, true)
	w.wantProblem("a visitor", w.call("POST", chat+"/visitors", ""), http.StatusBadGateway, true)
	w.start()
	if status, body := w.deliver(relay, evs); status != http.StatusOK || !strings.Contains(body, `"accepted"`) {
		w.t.Errorf("the webhook, sent again: %d %s", status, body)
	}
	if a := w.call("POST", lead, `{"email":"late@example.com"}`, "Idempotency-Key", "late"); a.status != http.StatusAccepted {
		w.t.Errorf("the lead, sent again: %d %s", a.status, a.text)
	}
	w.stop()
}

// notBellhop puts something else in its place: a page that says 200, a redirect, a JSON
// answer without the word that it was stored, and one that never comes.
func (w *world) notBellhop() {
	never := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/webhooks/page":
			fmt.Fprint(rw, "<html>welcome</html>")
		case "/webhooks/away":
			http.Redirect(rw, r, "/elsewhere", http.StatusFound)
		case "/webhooks/json":
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprint(rw, `{"ok":true}`)
		case "/webhooks/slow":
			select {
			case <-never:
			case <-r.Context().Done():
			}
		}
	}))
	w.t.Cleanup(srv.Close)
	w.t.Cleanup(func() { close(never) })
	relay := w.function("webhook-relay", srv.URL)
	for _, name := range []string{"page", "away", "json"} {
		w.wantProblem(name, w.call("POST", relay+"/"+name, "{}"), http.StatusBadGateway, true)
	}
	w.wantProblem("no answer", w.call("POST", relay+"/slow", "{}"), http.StatusGatewayTimeout, true)
	w.wantProblem("not configured", w.call("POST", w.function("webhook-relay", "")+"/stripe", "{}"), http.StatusServiceUnavailable, true)
}
