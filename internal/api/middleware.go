package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"bellhop"
	"bellhop/internal/identity"
	"bellhop/internal/intake"
	"bellhop/internal/store"
)

type ctxKey int

const (
	correlationKey ctxKey = iota
	principalKey
	callerKey
)

// correlationOf returns the correlation id of a request.
func correlationOf(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey).(string)
	return id
}

func principalOf(ctx context.Context) identity.Principal {
	p, ok := ctx.Value(principalKey).(identity.Principal)
	if !ok {
		return identity.Principal{Role: identity.RoleAnonymous}
	}
	return p
}

// withCorrelation takes the correlation id from W3C traceparent, or makes one, and
// answers with it.
func (a *API) withCorrelation(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := parseTraceparent(r.Header.Get("Traceparent"))
		if id == "" {
			id = newTraceID()
		}
		w.Header().Set("Traceparent", "00-"+id+"-"+id[16:]+"-01")
		w.Header().Set("X-Correlation-Id", id)
		from := a.clientOf(r)
		ctx := context.WithValue(context.WithValue(r.Context(), correlationKey, id), callerKey, from)
		started := a.o.Clock.Now()
		rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r.WithContext(ctx))
		took := a.o.Clock.Now().Sub(started)
		if !rec.stream {
			a.o.Functions.Note(from.route, started, took, rec.status < 500)
		}
		a.metrics.request(from.route, rec.status, took)
	})
}

// parseTraceparent returns the trace id of a W3C traceparent, "" for anything else.
func parseTraceparent(h string) string {
	parts := strings.Split(h, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || len(parts[1]) != 32 || len(parts[2]) != 16 {
		return ""
	}
	if _, err := hex.DecodeString(parts[1]); err != nil || strings.ToLower(parts[1]) != parts[1] ||
		parts[1] == strings.Repeat("0", 32) {
		return ""
	}
	return parts[1]
}

// newTraceID makes a trace id that tells when it was made, as a UUIDv7 does: what carried
// it can be told as removed long after it is gone. Its second half is random.
func newTraceID() string { return strings.ReplaceAll(store.NewID(), "-", "") }

// statusWriter remembers the status for statistics.
type statusWriter struct {
	http.ResponseWriter
	status int
	stream bool
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// withRecovery answers a panic as an internal error; it must never come from input.
func (a *API) withRecovery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the documented way
				panic(p)
			}
			a.fail(w, r, errors.New(panicWords(p)))
		}()
		next.ServeHTTP(w, r)
	})
}

func (a *API) withHeaders(next http.Handler) http.Handler {
	secure := strings.HasPrefix(a.o.PublicURL, "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // holds where CORS does not
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if secure {
			h.Set("Strict-Transport-Security", identity.HSTS)
		}
		next.ServeHTTP(w, r)
	})
}

// withCORS lets browsers of the configured origins call the API; no other.
func (a *API) withCORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Add("Vary", "Origin")
		// "null" is what a browser sends for a sandboxed frame or a file, and "*" would
		// answer it: both are anybody.
		allowed := origin != "" && origin != "null" && origin != "*" && slices.Contains(a.o.Origins, origin) && !strings.HasPrefix(r.URL.Path, "/v1/ops")
		if allowed {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Traceparent, X-Correlation-Id, Retry-After")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Traceparent, "+visitorHeader)
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// withIdentity finds out who is asking. A header that proves nothing is refused, not
// taken for a stranger.
func (a *API) withIdentity(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isWebhook(r) {
			next.ServeHTTP(w, r) // proves itself by its signature; a provider may send a header of its own
			return
		}
		p, err := a.o.Auth.Authenticate(r)
		if limited := a.limitCaller(r.Context(), p, r); limited != nil {
			a.fail(w, r, limited)
			return
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			a.fail(w, r, err)
			return
		}
		if err := a.claim(r, p); err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey, p)))
	})
}

// maxDepth bounds the nesting of JSON that is parsed.
const maxDepth = 64

// withBody reads JSON bodies with a size limit before anything parses them, and refuses
// what cannot be JSON text: other media types, invalid UTF-8, endless nesting.
func (a *API) withBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || isWebhook(r) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := readBody(w, r)
		if err == nil && len(body) > 0 {
			err = checkJSON(r.Header.Get("Content-Type"), body)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, intake.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, bellhop.Errorf(bellhop.CodeTooLarge, nextOf(bellhop.CodeTooLarge), "The body is larger than 1 MiB.")
	case err != nil:
		return nil, bellhop.Errorf(bellhop.CodeMalformed, "Send the whole body.", "The body could not be read.")
	}
	return body, nil
}

func checkJSON(contentType string, body []byte) error {
	media, params, err := mime.ParseMediaType(contentType)
	cs := strings.ToLower(params["charset"])
	if err != nil || (media != "application/json" && !strings.HasSuffix(media, "+json")) || (cs != "" && cs != "utf-8") {
		return bellhop.Errorf(bellhop.CodeUnsupportedMedia, nextOf(bellhop.CodeUnsupportedMedia),
			"The body is not declared as JSON.")
	}
	if !utf8.Valid(body) {
		return bellhop.Errorf(bellhop.CodeMalformed, "Send UTF-8.", "The body is not valid UTF-8.")
	}
	if tooDeep(body) {
		return bellhop.Errorf(bellhop.CodeMalformed, "Send a JSON body as /openapi.json describes it.",
			"The JSON is nested more than %d levels deep.", maxDepth)
	}
	return nil
}

// tooDeep reports whether JSON is nested deeper than maxDepth, in one pass and without
// building anything.
func tooDeep(b []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// notFound answers unknown paths and methods as problems.
func (a *API) notFound(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &probeWriter{header: http.Header{}}
		h.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			a.fail(w, r, bellhop.Errorf(bellhop.CodeMethodNotAllowed, nextOf(bellhop.CodeMethodNotAllowed),
				"This path does not take the method %s.", r.Method))
			return
		}
		a.fail(w, r, bellhop.Errorf(bellhop.CodeNotFound, nextOf(bellhop.CodeNotFound), "There is nothing at this path."))
	})
}

// probeWriter takes the mux's own plain answer to an unknown path, to see which it is.
type probeWriter struct {
	header http.Header
	status int
}

func (w *probeWriter) Header() http.Header         { return w.header }
func (w *probeWriter) WriteHeader(status int)      { w.status = status }
func (w *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
