package api

import (
	"encoding/json"
	"net/http"

	"bellhop"
)

// receiveWebhook takes in one delivery of a provider. It answers 200 only after the
// commit; a duplicate is answered the same way, so that the provider stops.
func (a *API) receiveWebhook(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := bounded(r.Context())
	defer cancel()
	body, err := readBody(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	acc, err := a.o.Intake.Webhook(ctx, r.PathValue("connection"), r.Header, body, correlationOf(ctx))
	if err != nil {
		name := r.PathValue("connection")
		if bellhop.CodeOf(err) == bellhop.CodeNotFound {
			name = "unknown" // a stranger's word is no label
		}
		a.metrics.webhook(name, "refused")
		r = r.WithContext(atRoute(r.Context(), "POST /webhooks/"+name))
		a.fail(w, r, err)
		return
	}
	status := "accepted"
	if acc.Duplicate {
		status = "duplicate"
	}
	a.metrics.webhook(r.PathValue("connection"), status)
	writeJSON(w, http.StatusOK, map[string]string{"status": status})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone if it fails
}
