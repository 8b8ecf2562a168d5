package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"bellhop"
	"bellhop/internal/store"
)

// The sources of events that came through the outbox; a key is unique within the first
// for ever.
const (
	sourceOutbox  = "outbox"
	sourceRefused = store.SourceRefused // kept as it came, by the row's number and what it holds
)

const (
	outboxLease = 30 * time.Second
	outboxBatch = 100
	// outboxTries is how often a row is tried that fails for no reason that is known to pass.
	outboxTries = 5
	// outboxPoll is how often it is looked for rows that no notification told of;
	// outboxPooled where none arrives.
	outboxPoll   = 5 * time.Second
	outboxPooled = time.Second
	outboxTidy   = 5 * time.Second
	// shownPayload is how much of a refused payload stands in the task, in bytes.
	shownPayload = 4000
)

// OutboxKinds lists what can be handed over, in the order of the documentation.
func OutboxKinds() []string { return []string{"lead", "support_request", "event"} }

// OutboxOpts configures an Outbox.
type OutboxOpts struct {
	DB     *store.DB
	Intake *Intake
	Logger *slog.Logger
}

// Outbox takes in what was handed over by bellhop.emit. Taking in and deleting a row are
// two transactions: a crash in between repeats the first, and the event's key makes the
// repeat a duplicate. Every node may run one.
type Outbox struct {
	db   *store.DB
	in   *Intake
	log  *slog.Logger
	wake chan struct{}
}

// NewOutbox makes an Outbox; it does nothing before Run or Drain.
func NewOutbox(o OutboxOpts) *Outbox {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Outbox{db: o.DB, in: o.Intake, log: o.Logger, wake: make(chan struct{}, 1)}
}

// Run takes in what comes until ctx ends.
func (o *Outbox) Run(ctx context.Context) {
	every := outboxPoll
	if o.db.Pooled() {
		every = outboxPooled
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.db.ListenOutbox(ctx, o.Wake)
	}()
	defer func() { <-done }()
	look := time.NewTicker(every)
	defer look.Stop()
	for ctx.Err() == nil {
		n, err := o.Drain(ctx)
		if err != nil && ctx.Err() == nil {
			o.log.ErrorContext(ctx, "the outbox could not be emptied; it is tried again", "error", err.Error())
		}
		if n == outboxBatch && err == nil {
			continue
		}
		select {
		case <-o.wake:
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// Wake makes Run look at once.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Drain takes in what there is, up to a batch, and returns how many rows it had. A row
// that cannot be taken in goes to a person; the error is of the database.
func (o *Outbox) Drain(ctx context.Context) (int, error) {
	rows, err := o.db.ClaimOutbox(ctx, outboxLease, outboxBatch)
	if err != nil {
		return 0, err
	}
	var done, back []int64
	var errs []error
	for _, row := range rows {
		if len(errs) > 0 { // the database is in trouble: nothing else is tried now
			back = append(back, row.ID)
			continue
		}
		err := o.take(ctx, row)
		switch {
		case err == nil:
			done = append(done, row.ID)
		case errors.Is(err, errHandedOver):
		case transient(err):
			back, errs = append(back, row.ID), append(errs, err)
		default:
			errs = append(errs, err) // its lease runs out, and the try has counted
		}
	}
	// Also when ctx has ended meanwhile: else the rows would wait for their lease to run out.
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), outboxTidy)
	defer cancel()
	return len(rows), errors.Join(append(errs, o.db.DeleteOutbox(tidy, done), o.db.ReleaseOutbox(tidy, back))...)
}

// errHandedOver says that a row went to a person.
var errHandedOver = errors.New("given to a person")

// transient reports an error that trying again later can heal.
func transient(err error) bool {
	return store.Outage(err) != "" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// take takes one row in, or gives it to a person.
func (o *Outbox) take(ctx context.Context, row store.OutboxRow) error {
	it, err := o.in.fromRow(row)
	if err == nil {
		_, err = o.in.acceptAPI(ctx, it)
	}
	var told *bellhop.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told) && told.Code != bellhop.CodeUnavailable:
		return o.refuse(ctx, row, told.Message+" "+told.NextStep)
	case transient(err) || row.Attempts < outboxTries:
		return err
	default:
		return o.refuse(ctx, row, fmt.Sprintf("It could not be stored %d times; the log has the database's error.", row.Attempts))
	}
}

// refuse keeps a row as it came, as an event, and gives it to a person with what is wrong.
// Its key stays free: the same key can be handed over again, put right.
func (o *Outbox) refuse(ctx context.Context, row store.OutboxRow, why string) error {
	now := o.in.clock.Now()
	number := strconv.FormatInt(row.ID, 10)
	// SQLite gives the number of a deleted row to the next one: what it holds tells them apart.
	id := correlationOf(sourceRefused, number, row.CreatedAt.UTC().Format(time.RFC3339Nano), row.Kind, row.Key, string(row.Payload))
	kept, err := o.in.accept(ctx, store.Intake{Person: whoIsMeant(row.Payload), Event: bellhop.Event{ID: store.NewID(), Source: sourceRefused,
		ExternalID: number + "-" + id, Kind: bellhop.KindOther, CorrelationID: id, Body: row.Payload,
		OccurredAt: row.CreatedAt, ReceivedAt: now}, VendorType: row.Kind, BodyHash: sha256.Sum256(row.Payload)})
	if err != nil {
		return err
	}
	task := bellhop.SupportRequest{PersonID: kept.PersonID, EventID: kept.EventID, CorrelationID: id, Priority: bellhop.PriorityHigh,
		Reason:  bellhop.ReasonSyncFailed,
		Subject: fmt.Sprintf("A %s from your database could not be taken in", strings.ReplaceAll(row.Kind, "_", " ")),
		Body: fmt.Sprintf("bellhop.emit was called with the key %q, and what it handed over cannot be used:\n\n%s\n\n"+
			"What was handed over (the whole of it is kept under correlation id %s):\n\n%s\n\n"+
			"Put it right where it comes from and emit it again, with the same key or a new one, or do by hand what it asks for.",
			row.Key, why, id, excerpt(row.Payload))}
	if err := o.db.RefuseOutbox(ctx, row.ID, task); err != nil {
		return err
	}
	o.log.WarnContext(ctx, "a row of the outbox went to a person", "kind", row.Kind, "row", row.ID, "correlation_id", id)
	return errHandedOver
}

// whoIsMeant reads from a refused payload whom it is about, so that it is found when that
// person is exported or erased. It is used for nothing else and ties nothing together: what
// was refused is nobody's word, so one name is enough, and an address counts as claimed.
func whoIsMeant(payload []byte) bellhop.PersonHint {
	var p struct {
		Email  any `json:"email"`
		UserID any `json:"user_id"`
	}
	_ = json.Unmarshal(payload, &p) // what is not an object names nobody
	email, _ := p.Email.(string)
	if email, ok := bellhop.NormalizeEmail(email); ok {
		return bellhop.PersonHint{Email: email, Claimed: true}
	}
	user, _ := p.UserID.(string)
	if checkText("user_id", user, maxField, false) != nil {
		return bellhop.PersonHint{}
	}
	return bellhop.PersonHint{UserID: user}
}

func excerpt(payload []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, payload, "", "  ") != nil {
		b.Reset()
		b.Write(payload)
	}
	if b.Len() > shownPayload {
		return strings.ToValidUTF8(string(b.Bytes()[:shownPayload]), "") + " …"
	}
	return b.String()
}

// correlationOf makes the correlation id of a row: the same one however often it is tried.
func correlationOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// handed is what a payload may hold. What a kind does not know is kept in the event and
// otherwise left alone.
type handed struct {
	Email         string `json:"email"`
	Name          string `json:"name"`
	Phone         string `json:"phone"`
	Company       string `json:"company"`
	Message       string `json:"message"`
	Subject       string `json:"subject"`
	Priority      string `json:"priority"`
	UserID        string `json:"user_id"`
	Type          string `json:"type"`
	CorrelationID string `json:"correlation_id"`
}

// fromRow makes the intake of a row. The error is a *bellhop.Error that says what is wrong
// with it.
func (in *Intake) fromRow(row store.OutboxRow) (store.Intake, error) {
	p, err := readHanded(row.Payload)
	if err != nil {
		return store.Intake{}, err
	}
	r := APIRequest{Caller: sourceOutbox, IdempotencyKey: row.Key, UserID: p.UserID, Body: row.Payload,
		Owner: bellhop.Owner{UserID: p.UserID}, CorrelationID: p.CorrelationID}
	if !correlation(p.CorrelationID) {
		r.CorrelationID = correlationOf(sourceOutbox, row.Key)
	}
	var it store.Intake
	switch row.Kind {
	case "lead":
		it, err = in.lead(r, bellhop.LeadFields{Email: p.Email, Name: p.Name, Phone: p.Phone, Company: p.Company, Wants: p.Message})
		if err == nil {
			it.Lead.Source = sourceOutbox
		}
	case "support_request":
		it, err = in.support(r, p.supportRequest())
	case "event":
		it, err = in.fact(r, p)
	default:
		err = bellhop.Errorf(bellhop.CodeInvalid, "Use one of "+strings.Join(OutboxKinds(), ", ")+".", "There is no such kind.")
	}
	it.Event.Source = sourceOutbox
	return it, err
}

func correlation(id string) bool {
	return regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) && id != store.NoCorrelation
}

func (p handed) supportRequest() Support {
	s := Support{Subject: p.Subject, Body: p.Message, Email: p.Email, Name: p.Name, Priority: bellhop.Priority(p.Priority)}
	if s.Subject == "" {
		s.Subject, _, _ = strings.Cut(strings.TrimSpace(s.Body), "\n")
		if r := []rune(s.Subject); len(r) > 100 {
			s.Subject = string(r[:99]) + "…"
		}
	}
	return s
}

// fact makes the intake of an event that is kept and that nothing follows from.
func (in *Intake) fact(r APIRequest, p handed) (store.Intake, error) {
	if err := checkText("type", p.Type, maxField, true); err != nil {
		return store.Intake{}, err
	}
	email, ok := bellhop.NormalizeEmail(p.Email)
	if p.Email != "" && !ok {
		return store.Intake{}, bellhop.Errorf(bellhop.CodeInvalid, "Send an address that can receive mail, or leave it out.",
			"email is not an e-mail address.")
	}
	it := in.fromAPI(r, bellhop.KindOther, bellhop.PersonHint{Email: email, Name: p.Name})
	it.VendorType = p.Type
	return it, nil
}

// readHanded reads a payload. An error names the field and never what stands in it.
func readHanded(payload []byte) (handed, error) {
	var p handed
	if len(payload) > MaxBody {
		return p, tooLarge()
	}
	fix := "Correct it and emit it again."
	if err := json.Unmarshal(payload, &p); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return p, bellhop.Errorf(bellhop.CodeInvalid, fix, "%s is not text.", wrong.Field)
		}
		return p, bellhop.Errorf(bellhop.CodeMalformed, fix, "The payload is not a JSON object.")
	}
	return p, checkText("user_id", p.UserID, maxField, false)
}
