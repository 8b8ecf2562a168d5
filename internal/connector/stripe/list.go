package stripe

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bellhop"
	"bellhop/internal/connector"
)

// pageSize is the most events of one page. Source: https://docs.stripe.com/api/events/list
const pageSize = 100

// List returns a page of events since a time, newest first. Stripe keeps events for
// 30 days. The next page begins after the last event's id; the "url" in the answer is
// not followed.
// Source: https://docs.stripe.com/api/events/list
func (c *Connector) List(ctx context.Context, since time.Time, cursor string) (connector.ListPage, error) {
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if !since.IsZero() {
		q.Set("created[gte]", strconv.FormatInt(since.Unix(), 10))
	}
	if cursor != "" {
		q.Set("starting_after", cursor)
	}
	resp, err := c.env.HTTP.Do(ctx, connector.Request{Method: http.MethodGet, URL: c.base + "/v1/events?" + q.Encode(),
		Header: http.Header{"Authorization": {"Bearer " + c.key.Reveal()}, "Accept": {"application/json"}}})
	if err != nil {
		return connector.ListPage{}, err
	}
	if e := c.env.HTTP.Classify(resp, errorMessage(resp.Body)); e != nil {
		return connector.ListPage{}, e
	}
	var list struct {
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	if err := json.Unmarshal(resp.Body, &list); err != nil {
		return connector.ListPage{}, connector.Malformed(resp, "Stripe's list of events is not the JSON that was expected")
	}
	page := connector.ListPage{Events: make([]connector.ListedEvent, 0, len(list.Data))}
	last := ""
	for _, raw := range list.Data {
		in, err := c.translateListed(raw)
		if err != nil {
			return connector.ListPage{}, connector.Malformed(resp, "an event in Stripe's list cannot be read")
		}
		last = in.ExternalID
		page.Events = append(page.Events, connector.ListedEvent{Body: raw, Inbound: in})
	}
	if list.HasMore && last == "" {
		return connector.ListPage{}, connector.Malformed(resp, "Stripe says there are more events and sent none")
	}
	if list.HasMore {
		page.Next = last
	}
	return page, nil
}

// translateListed translates an event of the list. One that has an id and cannot be
// understood is kept as KindOther: it must not stop the sweep of all the others.
func (c *Connector) translateListed(raw []byte) (bellhop.Inbound, error) {
	in, err := c.translate(raw)
	if err == nil {
		return in, nil
	}
	var e event
	if json.Unmarshal(raw, &e) != nil || !validID(e.ID) {
		return bellhop.Inbound{}, err
	}
	return bellhop.Inbound{ExternalID: e.ID, Kind: bellhop.KindOther, VendorType: cut(e.Type), Live: e.Livemode,
		OccurredAt: unix(e.Created)}, nil
}

// errorMessage returns the reason in Stripe's error body, "" when there is none.
// Source: https://docs.stripe.com/api/errors
func errorMessage(body []byte) string {
	var e struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &e) // what cannot be read says nothing
	if e.Error.Message == "" {
		return e.Error.Code
	}
	return e.Error.Message
}
