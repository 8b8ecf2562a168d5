package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of Stripe's lists.
const (
	maxStripePage   = 100
	maxStripeTypes  = 20
	stripeEventLife = 30 * 24 * time.Hour
)

// stEvents is the event log, oldest first.
type stEvents struct {
	all   []*stEvent
	index map[string]int
}

type stEvent struct {
	Event
	deliveries int
	delivered  bool
}

func (l *stEvents) add(e Event) {
	l.index[e.ID] = len(l.all)
	l.all = append(l.all, &stEvent{Event: e})
}

// stFilters are the equality filters of each list, the way of the real API.
func stFilters(kind string) []string {
	switch kind {
	case "customers":
		return []string{"email"}
	case "payment_intents":
		return []string{"customer"}
	case "charges":
		return []string{"customer", "payment_intent", "transfer_group"}
	case "refunds", "disputes":
		return []string{"charge", "payment_intent"}
	case "invoices":
		return []string{"customer", "status", "subscription", "collection_method"}
	case "invoice_payments":
		return []string{"invoice", "status", "payment[payment_intent]", "payment[type]"}
	case "subscriptions":
		return []string{"customer", "status", "price"}
	case "checkout/sessions":
		return []string{"customer", "payment_intent", "subscription", "status"}
	case "balance_transactions":
		return []string{"source", "type", "currency"}
	default:
		return nil
	}
}

// stPage is the paging and time window of a list request.
type stPage struct {
	limit         int
	after, before string
	window        [4]int64 // created[gte], [gt], [lte], [lt]; -1 when not asked for
}

// readPage reads the common parameters and refuses unknown ones.
func readPage(params url.Values, filters []string) (p stPage, bad *answer) {
	refuse := func(a answer) (stPage, *answer) { return p, &a }
	p = stPage{limit: 10, window: [4]int64{-1, -1, -1, -1}}
	bounds := []string{"created[gte]", "created[gt]", "created[lte]", "created[lt]"}
	for name, values := range params {
		v := values[0]
		switch {
		case name == "limit":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > maxStripePage {
				return refuse(stInvalid("parameter_invalid_integer", "limit must be between 1 and 100", "limit"))
			}
			p.limit = n
		case name == "starting_after":
			p.after = v
		case name == "ending_before":
			p.before = v
		case name == "created", slices.Contains(bounds, name):
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				return refuse(stInvalid("parameter_invalid_integer", "Invalid integer: "+name, name))
			}
			if name == "created" {
				p.window[0], p.window[2] = n, n
			} else {
				p.window[slices.Index(bounds, name)] = n
			}
		case slices.Contains(filters, name):
		default:
			return refuse(stUnknownParam(name))
		}
	}
	if p.after != "" && p.before != "" {
		return refuse(stInvalid("", "You may only specify one of these parameters: starting_after, ending_before.", "starting_after"))
	}
	return p, nil
}

func (p stPage) created(at int64) bool {
	w := p.window
	return (w[0] < 0 || at >= w[0]) && (w[1] < 0 || at > w[1]) && (w[2] < 0 || at <= w[2]) && (w[3] < 0 || at < w[3])
}

// walk goes through a list of n items newest first and returns up to a page of the
// indexes that keep accepts, in the order of the answer.
func (p stPage) walk(n int, index map[string]int, keep func(int) bool) (page []int, more bool, bad *answer) {
	start, stop := n-1, -1
	cursor := or(p.after, p.before)
	if cursor != "" {
		i, ok := index[cursor]
		if !ok {
			a := stError(http.StatusBadRequest, "invalid_request_error", "resource_missing", "No such object: '"+cursor+"'",
				map[bool]string{true: "starting_after", false: "ending_before"}[p.after != ""])
			return nil, false, &a
		}
		if p.after != "" {
			start = i - 1
		} else {
			stop = i
		}
	}
	if p.before != "" { // the page that ends right before the cursor: the nearest newer ones
		for i := stop + 1; i < n; i++ {
			if keep(i) {
				if len(page) == p.limit {
					slices.Reverse(page)
					return page, true, nil
				}
				page = append(page, i)
			}
		}
		slices.Reverse(page)
		return page, false, nil
	}
	for i := start; i > stop; i-- {
		if keep(i) {
			if len(page) == p.limit {
				return page, true, nil
			}
			page = append(page, i)
		}
	}
	return page, false, nil
}

func (b *stripeBackend) list(kind string, params url.Values) answer {
	filters := stFilters(kind)
	p, bad := readPage(params, filters)
	if bad != nil {
		return *bad
	}
	l := b.lists[kind]
	page, more, bad := p.walk(len(l.all), l.index, func(i int) bool {
		return p.created(num(l.all[i]["created"])) && stMatches(l.all[i], filters, params)
	})
	if bad != nil {
		return *bad
	}
	data := make([]stObject, 0, len(page))
	for _, i := range page {
		data = append(data, withoutSecret(l.all[i]))
	}
	return jsonAnswer(http.StatusOK, stObject{"object": "list", "url": "/v1/" + kind, "has_more": more, "data": data})
}

func stMatches(o stObject, filters []string, params url.Values) bool {
	for _, f := range filters {
		want, asked := params[f]
		if !asked || (f == "status" && want[0] == "all") {
			continue
		}
		if stValue(o, f) != want[0] {
			return false
		}
	}
	return true
}

// stValue finds what a filter compares: a member, a nested one, or where the current
// API has moved it.
func stValue(o stObject, filter string) string {
	switch {
	case filter == "subscription" && o["object"] == "invoice":
		return invoiceSubscription(o)
	case strings.HasPrefix(filter, "payment["):
		payment, _ := o["payment"].(stObject)
		return str(payment[strings.TrimSuffix(strings.TrimPrefix(filter, "payment["), "]")])
	default:
		return str(o[filter])
	}
}

func (b *stripeBackend) routeEvents(segs []string, params url.Values) answer {
	oldest := b.opts.Clock.Now().Add(-stripeEventLife)
	if len(segs) == 1 {
		i, ok := b.events.index[segs[0]]
		if !ok || b.events.all[i].Created.Before(oldest) {
			return stMissing("event", segs[0], "id")
		}
		return jsonAnswer(http.StatusOK, json.RawMessage(b.events.all[i].Body))
	}
	if len(segs) > 1 {
		return stError(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL.", "")
	}
	return b.listEvents(params, oldest)
}

// listEvents is GET /v1/events: newest first, of the last 30 days only.
func (b *stripeBackend) listEvents(params url.Values, oldest time.Time) answer {
	p, bad := readPage(params, []string{"type", "types[]", "delivery_success"})
	if bad != nil {
		return *bad
	}
	types := params["types[]"]
	if t := params.Get("type"); t != "" {
		if len(types) > 0 {
			return stInvalid("", "You may only specify one of these parameters: type, types.", "type")
		}
		types = []string{t}
	}
	if len(types) > maxStripeTypes {
		return stInvalid("", "types may have at most 20 entries.", "types")
	}
	success := params.Get("delivery_success")
	if !oneOf(success, "true", "false") {
		return stInvalid("", "Invalid boolean: delivery_success", "delivery_success")
	}
	page, more, bad := p.walk(len(b.events.all), b.events.index, func(i int) bool {
		e := b.events.all[i]
		return !e.Created.Before(oldest) && p.created(e.Created.Unix()) &&
			(len(types) == 0 || slices.ContainsFunc(types, func(t string) bool { return typeMatches(t, e.Type) })) &&
			(success == "" || (success == "true") == e.delivered)
	})
	if bad != nil {
		return *bad
	}
	data := make([]json.RawMessage, 0, len(page))
	for _, i := range page {
		data = append(data, b.events.all[i].Body)
	}
	return jsonAnswer(http.StatusOK, stObject{"object": "list", "url": "/v1/events", "has_more": more, "data": data})
}

// typeMatches: "charge.*" stands for every type of charges.
func typeMatches(pattern, typ string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(typ, prefix)
	}
	return pattern == typ
}
