package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxControlWait bounds how long GET /_control/snapshot waits for a change.
const maxControlWait = 30 * time.Second

// FlowParams are the parameters of POST /_control/stripe/{flow}; each flow reads those
// that it needs.
type FlowParams struct {
	CheckoutParams
	Plan         string `json:"plan,omitempty"`
	Charge       string `json:"charge,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	Dispute      string `json:"dispute,omitempty"`
	Status       string `json:"status,omitempty"` // of close_dispute: won or lost
	AtPeriodEnd  bool   `json:"at_period_end,omitempty"`
	// DeliverTo is the URL that the events are posted to; "" delivers nothing.
	DeliverTo string `json:"deliver_to,omitempty"`
	DeliverOpts
}

// FlowResult is the answer of a flow.
type FlowResult struct {
	Events     []Event          `json:"events"`
	Deliveries []DeliveryResult `json:"deliveries,omitempty"`
}

// Flows lists the flows of POST /_control/stripe/{flow}.
func Flows() []string {
	return []string{"pay_checkout", "fail_payment", "pay_invoice", "renew", "fail_invoice", "refund", "dispute",
		"close_dispute", "cancel_subscription", "undelivered"}
}

// errFlow is the error of a flow that cannot be played.
var errFlow = errors.New("no such flow, or nothing that it could change")

// Play plays a flow by name and delivers its events when p says where to.
func (s *Server) Play(ctx context.Context, flow string, p FlowParams) (FlowResult, error) {
	evs := s.playFlow(flow, p)
	if evs == nil {
		return FlowResult{}, errFlow
	}
	res := FlowResult{Events: evs}
	if p.DeliverTo == "" {
		return res, nil
	}
	var err error
	res.Deliveries, err = s.Deliver(ctx, p.DeliverTo, evs, p.DeliverOpts)
	return res, err
}

func (s *Server) playFlow(flow string, p FlowParams) []Event {
	st := s.player
	switch flow {
	case "pay_checkout":
		return st.PayCheckout(p.CheckoutParams)
	case "fail_payment":
		return st.FailPayment(p.CheckoutParams)
	case "pay_invoice":
		return st.PayInvoice(InvoiceParams{Email: p.Email, Name: p.Name, Amount: p.Amount, Currency: p.Currency,
			Plan: p.Plan, Description: p.Description, Metadata: p.Metadata})
	case "renew":
		return st.RenewSubscription(p.Subscription)
	case "fail_invoice":
		return st.FailInvoice(p.Subscription)
	case "refund":
		return st.Refund(p.Charge, p.Amount)
	case "dispute":
		return st.Dispute(p.Charge)
	case "close_dispute":
		return st.CloseDispute(p.Dispute, p.Status)
	case "cancel_subscription":
		return st.CancelSubscription(p.Subscription, p.AtPeriodEnd)
	case "undelivered":
		return st.Undelivered()
	default:
		return nil
	}
}

// control serves the control API; see the package comment.
func (s *Server) control(w http.ResponseWriter, r *http.Request, segs []string) {
	if !loopbackRequest(r) {
		controlError(w, http.StatusForbidden, "the control API answers this machine only")
		return
	}
	name := r.Method + " "
	if len(segs) > 0 {
		name += segs[0]
	}
	if len(segs) > 2 {
		name = ""
	}
	arg := ""
	if len(segs) == 2 {
		arg = segs[1]
	}
	switch name {
	case "GET health":
		controlJSON(w, map[string]any{"status": "ok", "sandbox": true, "vendors": Vendors()})
	case "GET snapshot":
		s.controlAwait(r)
		controlJSON(w, s.Snapshot())
	case "GET counts":
		s.controlAwait(r)
		controlJSON(w, s.Counts())
	case "GET calls":
		controlJSON(w, s.Calls())
	case "GET faults", "PUT faults", "DELETE faults":
		s.controlFaults(w, r, Vendor(arg))
	case "POST reset":
		s.Reset()
		controlJSON(w, map[string]string{"status": "ok"})
	case "POST stripe":
		s.controlStripe(w, r, arg)
	default:
		controlError(w, http.StatusNotFound, "no such control call")
	}
}

// controlAwait returns at once, or with ?after=VERSION once the state has moved on from
// that version, at the latest after ?wait=DURATION (30 s).
func (s *Server) controlAwait(r *http.Request) {
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return
	}
	wait := maxControlWait
	if d, err := time.ParseDuration(r.URL.Query().Get("wait")); err == nil && d >= 0 {
		wait = min(d, maxControlWait)
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	s.awaitChange(ctx, after)
}

func (s *Server) awaitChange(ctx context.Context, after uint64) {
	for {
		version, changed := s.changes.watch()
		if version != after {
			return
		}
		select {
		case <-changed:
		case <-s.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) controlFaults(w http.ResponseWriter, r *http.Request, v Vendor) {
	if _, ok := s.faults[v]; !ok && v != "" {
		controlError(w, http.StatusNotFound, "no such vendor")
		return
	}
	switch {
	case r.Method == http.MethodPut && v != "":
		var list []Fault
		if !readControl(w, r, &list) {
			return
		}
		s.SetFaults(v, list...)
	case r.Method == http.MethodDelete:
		s.ClearFaults(v)
	case r.Method == http.MethodPut:
		controlError(w, http.StatusNotFound, "name a vendor")
		return
	}
	out := map[Vendor][]Fault{}
	for name, fs := range s.faults {
		if list := fs.list(); len(list) > 0 && (v == "" || v == name) {
			out[name] = list
		}
	}
	controlJSON(w, out)
}

func (s *Server) controlStripe(w http.ResponseWriter, r *http.Request, flow string) {
	var p FlowParams
	if !readControl(w, r, &p) {
		return
	}
	res, err := s.Play(r.Context(), flow, p)
	switch {
	case errors.Is(err, errFlow):
		controlError(w, http.StatusUnprocessableEntity, err.Error())
	case err != nil:
		controlError(w, http.StatusBadRequest, err.Error())
	default:
		controlJSON(w, res)
	}
}

// readControl reads a JSON body; an empty one leaves dst as it is.
func readControl(w http.ResponseWriter, r *http.Request, dst any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		controlError(w, http.StatusRequestEntityTooLarge, "the body cannot be read or is too large")
		return false
	}
	if len(body) == 0 {
		return true
	}
	if err := strictJSON(body, dst); err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

func controlJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no concern
}

func controlError(w http.ResponseWriter, status int, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": msg}) // as above
}
