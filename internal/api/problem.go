package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bellhop"
	"bellhop/internal/store"
)

// Problem is an error of the API: RFC 9457 with a stable code, whether the same request
// can succeed when sent again, and what to do.
type Problem struct {
	Type          string `json:"type" example:"urn:bellhop:problem:not_found"`
	Title         string `json:"title" example:"Not Found"`
	Status        int    `json:"status" example:"404"`
	Detail        string `json:"detail" example:"There is no such request."`
	Code          string `json:"code" example:"not_found"`
	Retryable     bool   `json:"retryable"`
	NextStep      string `json:"next_step" example:"Check the id."`
	CorrelationID string `json:"correlation_id" example:"0af7651916cd43dd8448eb211c80319c"`

	cause error
	wait  time.Duration // what Retry-After says; 0 means retryWait
}

// retryWait is what Retry-After says when nobody knows how long it takes.
const retryWait = 5 * time.Second

var _ huma.StatusError = (*Problem)(nil)

// Error returns code and detail.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus returns the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes the answer problem+json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders adds Retry-After to what can succeed later.
func (p *Problem) GetHeaders() http.Header {
	if p.Code != string(bellhop.CodeUnavailable) && p.Code != string(bellhop.CodeRateLimited) {
		return nil
	}
	return http.Header{"Retry-After": {retryAfter(cmp.Or(p.wait, retryWait))}}
}

// problemOf turns any error into a Problem. What is not a *bellhop.Error is internal:
// its text stays in the log.
func problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		p.CorrelationID = correlationOf(ctx)
		return p
	}
	var e *bellhop.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			e = &bellhop.Error{Code: bellhop.CodeUnavailable, Message: "It took too long.",
				NextStep: "Send the same request again; it will not be doubled.", Err: err}
		} else if why := store.Outage(err); why != "" {
			e = &bellhop.Error{Code: bellhop.CodeUnavailable, Message: why,
				NextStep: "Send the same request again in a few seconds; it will not be doubled.", Err: err}
		} else {
			e = &bellhop.Error{Code: bellhop.CodeInternal, Message: "Something went wrong on our side.",
				NextStep: "Send the same request again; if it goes on, give the correlation id to the operator.", Err: err}
		}
	}
	p = newProblem(e.Code, e.Message, e.NextStep)
	p.CorrelationID, p.cause = correlationOf(ctx), e.Err
	var limited *limitError
	if errors.As(err, &limited) {
		p.wait = limited.wait
	}
	return p
}

func newProblem(code bellhop.Code, detail, next string) *Problem {
	status := code.Status()
	return &Problem{Type: "urn:bellhop:problem:" + string(code), Title: http.StatusText(status), Status: status,
		Detail: detail, Code: string(code), Retryable: code.Retryable(), NextStep: next}
}

// installOnce guards huma's error constructor, which huma has as a package variable;
// every API of a process wants the same one.
var installOnce sync.Once

// installProblems makes huma's own errors (validation, unreadable JSON) Problems.
func installProblems() {
	installOnce.Do(func() {
		huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
			code := codeOfStatus(status)
			return newProblem(code, detailOf(msg, errs), nextOf(code))
		}
		huma.NewErrorWithContext = func(hc huma.Context, status int, msg string, errs ...error) huma.StatusError {
			code := codeOfStatus(status)
			p := newProblem(code, detailOf(msg, errs), nextOf(code))
			p.CorrelationID = correlationOf(hc.Context())
			return p
		}
	})
}

func codeOfStatus(status int) bellhop.Code {
	switch status {
	case 400:
		return bellhop.CodeMalformed
	case 401:
		return bellhop.CodeUnauthenticated
	case 403:
		return bellhop.CodeForbidden
	case 404:
		return bellhop.CodeNotFound
	case 405:
		return bellhop.CodeMethodNotAllowed
	case 413:
		return bellhop.CodeTooLarge
	case 415, 406:
		return bellhop.CodeUnsupportedMedia
	case 422:
		return bellhop.CodeInvalid
	case 429:
		return bellhop.CodeRateLimited
	case 408, 503, 504:
		return bellhop.CodeUnavailable
	default:
		return bellhop.CodeInternal
	}
}

// detailOf joins huma's message with what each error says and where; values are left
// out, because they are a stranger's.
func detailOf(msg string, errs []error) string {
	parts := []string{}
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			parts = append(parts, strings.TrimSpace(d.Location+": "+d.Message))
		}
	}
	if len(parts) == 0 {
		return capitalise(msg) + "."
	}
	return capitalise(msg) + ": " + strings.Join(parts, "; ") + "."
}

func capitalise(s string) string {
	if s == "" {
		return "The request failed"
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func nextOf(c bellhop.Code) string {
	switch c {
	case bellhop.CodeMalformed:
		return "Send a JSON body as /openapi.json describes it."
	case bellhop.CodeInvalid:
		return "Correct the fields that detail names and send it again."
	case bellhop.CodeTooLarge:
		return "Send at most 1 MiB."
	case bellhop.CodeUnsupportedMedia:
		return "Send Content-Type: application/json."
	case bellhop.CodeNotFound:
		return "Check the path against /openapi.json."
	case bellhop.CodeMethodNotAllowed:
		return "Use a method that /openapi.json lists for this path."
	default:
		return "Send the same request again; if it goes on, give the correlation id to the operator."
	}
}

// fail answers a plain handler's error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	a.logProblem(r.Context(), p)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	data, err := json.Marshal(p)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		a.o.Logger.DebugContext(r.Context(), "answer not sent", "error", err.Error())
	}
}

// panicWords describes a panic for the log: its value may hold what a customer or a
// vendor wrote, so only the runtime's own words are kept, and where it was.
func panicWords(p any) string {
	words := fmt.Sprintf("panic of %T", p)
	if e, ok := p.(runtime.Error); ok {
		words = "panic: " + e.Error()
	}
	pcs := make([]uintptr, 24)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var at []string
	for {
		f, more := frames.Next()
		if name, ours := strings.CutPrefix(f.Function, "bellhop/"); ours {
			at = append(at, name+":"+strconv.Itoa(f.Line))
		}
		if !more {
			return words + " at " + strings.Join(at, " < ")
		}
	}
}

// logProblem logs failures of ours once, here at the edge, and tells the security log who
// was refused.
func (a *API) logProblem(ctx context.Context, p *Problem) {
	if p.Status < 500 {
		a.noteProblem(ctx, p)
		return
	}
	args := []any{slog.String("code", p.Code), slog.String("correlation_id", p.CorrelationID)}
	if p.cause != nil {
		args = append(args, slog.String("error", p.cause.Error()))
	}
	a.o.Logger.ErrorContext(ctx, "request failed", args...)
}

// wrap makes a handler's error a Problem, logged once.
func wrap[I, O any](a *API, fn func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := bounded(ctx)
		defer cancel()
		out, err := fn(ctx, in)
		if err != nil {
			p := problemOf(ctx, err)
			a.logProblem(ctx, p)
			return nil, p
		}
		return out, nil
	}
}
