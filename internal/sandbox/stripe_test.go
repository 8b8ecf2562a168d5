package sandbox

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestStripeSignatureVector(t *testing.T) {
	t.Parallel()
	// Vector 6 of vendors.md, section 8.
	body := "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}"
	got := SignStripe([]byte(body), "whsec_test_secret", time.Unix(1614265330, 0))
	if want := "t=1614265330,v1=af4ead0627a34a8cca29808e8de9ada8e41a92e6237c63cef6eacf51d36cca34"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	clock := newTestClock()
	s := New(Options{Clock: clock, StripeWebhookSecret: "whsec_x"})
	if s.Sign([]byte("b")) != SignStripe([]byte("b"), "whsec_x", clock.Now()) {
		t.Error("Sign does not use the server's secret and clock")
	}
}

// TestStripeIdempotencyKey: replay for 24 h of the injected clock, other parameters
// refused, failed validation not kept.
func TestStripeIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	post := func(body string) reply {
		return f.vendor(Stripe, "POST", "/v1/customers", body, "Idempotency-Key", "k1")
	}
	f.contains(f.want(post("nonsense=1"), 400), "parameter_unknown")
	first := f.want(post("email=ada%40example.com&metadata[bellhop_id]=x"), 200)
	f.contains(first, `"bellhop_id":"x"`)
	if first.header.Get("Idempotent-Replayed") != "" || first.header.Get("Idempotency-Key") != "k1" || first.header.Get("Request-Id") == "" {
		t.Errorf("first: %v", first.header)
	}
	f.clock.advance(24*time.Hour - time.Second)
	second := f.want(post("metadata[bellhop_id]=x&email=ada%40example.com"), 200)
	if string(second.body) != string(first.body) || second.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("replay: %v %s", second.header, second.body)
	}
	f.contains(f.want(post("email=bob%40example.com"), 400), `"type":"idempotency_error"`)
	if n := f.s.Snapshot().Stripe.Customers; n != 1 {
		t.Fatalf("%d customers, want 1", n)
	}
	f.clock.advance(time.Second)
	f.want(post("email=bob%40example.com"), 200)
	if n := f.s.Snapshot().Stripe.Customers; n != 2 {
		t.Errorf("%d customers, want 2: the key has expired", n)
	}
	f.want(f.vendor(Stripe, "POST", "/v1/customers", "", "Idempotency-Key", strings.Repeat("k", 256)), 400)
}

func TestStripeKeeps500sUnderTheKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	post := func() reply {
		return f.vendor(Stripe, "POST", "/v1/customers", "email=a%40example.com", "Idempotency-Key", "k1")
	}
	f.s.SetFaults(Stripe, Fault{Mode: FaultServerErrorBefore, Count: 1})
	f.want(post(), 500)
	f.s.SetFaults(Stripe, Fault{Mode: FaultServerErrorAfter, Count: 1})
	f.want(post(), 500) // the one before execution was not kept: this one executes
	r := f.want(post(), 500)
	if r.header.Get("Idempotent-Replayed") != "true" || f.s.Snapshot().Stripe.Customers != 1 {
		t.Errorf("replayed %q, %d customers", r.header.Get("Idempotent-Replayed"), f.s.Snapshot().Stripe.Customers)
	}
}

func TestStripeConcurrentKeyIs409(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	f.s.SetFaults(Stripe, Fault{Mode: FaultSlow, Count: 1, Delay: time.Hour})
	post := func() reply { return f.vendor(Stripe, "POST", "/v1/customers", "", "Idempotency-Key", "k") }
	first := make(chan reply, 1)
	go func() { first <- post() }()
	if err := f.s.Wait(t.Context(), func(s Snapshot) bool { return s.Stripe.Customers == 1 }); err != nil {
		t.Fatal(err)
	}
	f.contains(f.want(post(), 409), "idempotency_key_in_use")
	f.s.ClearFaults("")
	f.want(<-first, 200)
	f.want(post(), 200)
}

func TestStripeVersionAndErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	r := f.want(f.vendor(Stripe, "GET", "/v1/customers", "", "Stripe-Version", "2020-01-01"), 200)
	if r.header.Get("Stripe-Version") != "2020-01-01" {
		t.Errorf("version %q", r.header.Get("Stripe-Version"))
	}
	if v := f.vendor(Stripe, "GET", "/v1/customers", "").header.Get("Stripe-Version"); v != StripeVersion {
		t.Errorf("version %q", v)
	}
	f.contains(f.want(f.vendor(Stripe, "GET", "/v1/customers/cus_none", ""), 404), "resource_missing", "No such customer")
	f.contains(f.want(f.vendor(Stripe, "GET", "/v1/unicorns", ""), 404), "Unrecognized request URL")
	f.contains(f.want(f.vendor(Stripe, "GET", "/v1/charges?nonsense=1", ""), 400), "parameter_unknown", `"param":"nonsense"`)
	f.want(f.vendor(Stripe, "GET", "/v1/charges?limit=101", ""), 400)
	f.want(f.vendor(Stripe, "GET", "/v1/charges?starting_after=ch_none", ""), 400)
	f.want(f.vendor(Stripe, "GET", "/v1/charges?starting_after=a&ending_before=b", ""), 400)
	f.want(f.vendor(Stripe, "POST", "/v1/customers", "%zz"), 400)
	f.want(f.vendor(Stripe, "POST", "/v1/charges", "amount=1"), 404)
}

func types(evs []Event) string {
	var out []string
	for _, e := range evs {
		out = append(out, e.Type)
	}
	return strings.Join(out, " ")
}

func TestStripeFlowsRaiseTheirEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	st := f.s.Stripe()
	pay := st.PayCheckout(CheckoutParams{Email: "ada@example.com", Name: "Ada", Amount: 4900, Currency: "EUR"})
	inv := st.PayInvoice(InvoiceParams{Email: "ada@example.com", Amount: 900, Plan: "Pro"})
	ch, sub := pay[0].Object, inv[0].Object
	dispute := st.Dispute(inv[1].Object)
	for _, c := range []struct {
		evs  []Event
		want string
	}{
		{pay, "charge.succeeded payment_intent.succeeded checkout.session.completed"},
		{inv, "customer.subscription.created charge.succeeded payment_intent.succeeded invoice_payment.paid invoice.paid"},
		{st.FailPayment(CheckoutParams{Email: "bob@example.com"}), "charge.failed payment_intent.payment_failed"},
		{st.Refund(ch, 900), "refund.created charge.refunded"},
		{st.Refund(ch, 4001), ""},
		{st.Refund(ch, 0), "refund.created charge.refunded"},
		{st.Refund(ch, 0), ""},
		{st.Refund("ch_none", 0), ""},
		{dispute, "charge.dispute.created"},
		{st.Dispute(inv[1].Object), ""},
		{st.CloseDispute(dispute[0].Object, "maybe"), ""},
		{st.CloseDispute(dispute[0].Object, "won"), "charge.dispute.closed"},
		{st.RenewSubscription(sub), "customer.subscription.updated charge.succeeded payment_intent.succeeded invoice_payment.paid invoice.paid"},
		{st.FailInvoice(sub), "charge.failed payment_intent.payment_failed invoice.payment_failed customer.subscription.updated"},
		{st.CancelSubscription(sub, true), "customer.subscription.updated"},
		{st.CancelSubscription(sub, false), "customer.subscription.deleted"},
		{st.CancelSubscription(sub, false), ""},
		{st.RenewSubscription(sub), ""},
	} {
		if got := types(c.evs); got != c.want {
			t.Errorf("events %q, want %q", got, c.want)
		}
	}
	if c := f.s.Snapshot().Stripe; c.Customers != 2 || c.Refunds != 2 || c.Subscriptions != 1 || c.Charges != 5 {
		t.Errorf("%+v", c)
	}
	c := f.want(f.vendor(Stripe, "GET", "/v1/charges/"+ch, ""), 200).json(t)
	if c["amount_refunded"] != 4900.0 || c["refunded"] != true || c["currency"] != "eur" {
		t.Errorf("charge: %v", c)
	}
}

// TestStripeEventShapes: bodies are shaped like the pinned API version, without the
// members that it dropped.
func TestStripeEventShapes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	st := f.s.Stripe()
	evs := st.PayInvoice(InvoiceParams{Email: "ada@example.com", Amount: 900, Plan: "Pro"})
	objects := map[string]map[string]any{}
	for _, e := range evs {
		var body struct {
			ID         string `json:"id"`
			Object     string `json:"object"`
			APIVersion string `json:"api_version"`
			Created    int64  `json:"created"`
			Livemode   bool   `json:"livemode"`
			Type       string `json:"type"`
			Data       struct {
				Object map[string]any `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(e.Body, &body); err != nil {
			t.Fatal(err)
		}
		if body.ID != e.ID || body.Object != "event" || body.APIVersion != StripeVersion || body.Livemode || body.Type != e.Type ||
			body.Created != f.clock.Now().Unix() || body.Data.Object["id"] != e.Object {
			t.Errorf("event %s: %+v", e.Type, body)
		}
		objects[e.Type] = body.Data.Object
	}
	inv := objects["invoice.paid"]
	for _, gone := range []string{"subscription", "charge", "payment_intent"} {
		if _, ok := inv[gone]; ok {
			t.Errorf("the invoice still has %s", gone)
		}
	}
	parent := inv["parent"].(map[string]any)["subscription_details"].(map[string]any)
	if parent["subscription"] != evs[0].Object || inv["customer_email"] != "ada@example.com" || inv["status"] != "paid" {
		t.Errorf("invoice: %v", inv)
	}
	ch, pi := objects["charge.succeeded"], objects["payment_intent.succeeded"]
	if _, ok := ch["refunds"]; ok || ch["payment_intent"] != pi["id"] || pi["latest_charge"] != ch["id"] {
		t.Errorf("charge %v, intent %v", ch["payment_intent"], pi["id"])
	}
	ip := objects["invoice_payment.paid"]
	if ip["invoice"] != inv["id"] || ip["payment"].(map[string]any)["payment_intent"] != pi["id"] {
		t.Errorf("invoice payment: %v", ip)
	}
	sub := objects["customer.subscription.created"]
	item := sub["items"].(map[string]any)["data"].([]any)[0].(map[string]any)
	if _, ok := sub["current_period_end"]; ok || item["current_period_end"].(float64) <= float64(f.clock.Now().Unix()) {
		t.Errorf("subscription: %v", sub)
	}
}

func TestStripeGuestCheckoutHasNoCustomer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	evs := f.s.Stripe().PayCheckout(CheckoutParams{Email: "ada@example.com", Guest: true})
	for _, e := range evs {
		if !strings.Contains(string(e.Body), `"customer":null`) {
			t.Errorf("%s has a customer: %s", e.Type, e.Body)
		}
		if has := strings.Contains(string(e.Body), "ada@example.com"); has == (e.Type == "payment_intent.succeeded") {
			t.Errorf("%s: e-mail %v", e.Type, has)
		}
	}
}

// page reads one page of a list.
func (f *fixture) page(path string) (ids []string, more bool) {
	f.t.Helper()
	r := f.want(f.vendor(Stripe, "GET", path, ""), 200)
	var list struct {
		Object  string `json:"object"`
		HasMore bool   `json:"has_more"`
		Data    []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.body, &list); err != nil || list.Object != "list" {
		f.t.Fatalf("%v: %s", err, r.body)
	}
	for _, d := range list.Data {
		ids = append(ids, d.ID)
	}
	return ids, list.HasMore
}

// TestStripeEventPages: newest first, each event once over all pages, in both
// directions.
func TestStripeEventPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	for range 10 {
		f.s.Stripe().PayCheckout(CheckoutParams{Email: "ada@example.com"})
	}
	all := f.s.Stripe().Events()
	var got []string
	cursor, more := "", true
	for more {
		var ids []string
		ids, more = f.page("/v1/events?limit=7" + cursor)
		got = append(got, ids...)
		cursor = "&starting_after=" + ids[len(ids)-1]
	}
	if len(got) != 30 {
		t.Fatalf("%d events over all pages, want 30", len(got))
	}
	for i, id := range got {
		if want := all[len(all)-1-i].ID; id != want {
			t.Fatalf("event %d is %s, want %s", i, id, want)
		}
	}
	back, more := f.page("/v1/events?limit=7&ending_before=" + got[10])
	if strings.Join(back, " ") != strings.Join(got[3:10], " ") || !more {
		t.Errorf("page before: %v, more %v", back, more)
	}
	back, more = f.page("/v1/events?limit=7&ending_before=" + got[3])
	if strings.Join(back, " ") != strings.Join(got[:3], " ") || more {
		t.Errorf("first page before: %v, more %v", back, more)
	}
	if ids, _ := f.page("/v1/events"); len(ids) != 10 {
		t.Errorf("default page of %d", len(ids))
	}
}

func TestStripeEventFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	st := f.s.Stripe()
	st.PayCheckout(CheckoutParams{Email: "a@example.com"})
	f.clock.advance(time.Hour)
	cut := f.clock.Now().Unix()
	late := st.PayCheckout(CheckoutParams{Email: "b@example.com"})
	count := func(query url.Values) int {
		ids, _ := f.page("/v1/events?" + query.Encode())
		return len(ids)
	}
	since := url.Values{"created[gte]": {itoa(cut)}}
	for _, c := range []struct {
		q    url.Values
		want int
	}{
		{url.Values{}, 6}, {since, 3}, {url.Values{"created[gt]": {itoa(cut)}}, 0}, {url.Values{"created[lt]": {itoa(cut)}}, 3},
		{url.Values{"created": {itoa(cut)}}, 3}, {url.Values{"type": {"charge.succeeded"}}, 2}, {url.Values{"type": {"charge.*"}}, 2},
		{url.Values{"types[]": {"charge.succeeded", "payment_intent.succeeded"}}, 4},
		{url.Values{"delivery_success": {"false"}}, 6}, {url.Values{"delivery_success": {"true"}}, 0},
	} {
		if got := count(c.q); got != c.want {
			t.Errorf("%v: %d, want %d", c.q, got, c.want)
		}
	}
	for _, bad := range []string{"types[]=a&type=b", "types[]=" + strings.Repeat("a&types[]=", 20) + "a", "delivery_success=maybe", "created[gte]=x"} {
		f.want(f.vendor(Stripe, "GET", "/v1/events?"+bad, ""), 400)
	}
	r := f.want(f.vendor(Stripe, "GET", "/v1/events/"+late[0].ID, ""), 200)
	if string(r.body) != string(late[0].Body) {
		t.Error("the listed event is not the delivered one")
	}
	f.clock.advance(30*24*time.Hour + time.Second)
	if got := count(url.Values{}); got != 0 {
		t.Errorf("%d events after 30 days", got)
	}
	f.want(f.vendor(Stripe, "GET", "/v1/events/"+late[0].ID, ""), 404)
	if ids, _ := f.page("/v1/charges"); len(ids) != 2 {
		t.Errorf("%d charges after 30 days, want 2", len(ids))
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestStripeLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	st := f.s.Stripe()
	pay := st.PayCheckout(CheckoutParams{Email: "a@example.com"})
	inv := st.PayInvoice(InvoiceParams{Email: "b@example.com"})
	st.Refund(pay[0].Object, 100)
	st.Dispute(inv[1].Object)
	for path, want := range map[string]int{"charges": 2, "payment_intents": 2, "refunds": 1, "disputes": 1, "invoices": 1,
		"invoice_payments": 1, "subscriptions": 1, "balance_transactions": 3, "checkout/sessions": 1, "customers": 2,
		"charges?payment_intent=" + pay[1].Object: 1, "refunds?charge=" + pay[0].Object: 1, "refunds?charge=ch_x": 0,
		"invoices?subscription=" + inv[0].Object: 1, "subscriptions?status=all": 1, "subscriptions?status=canceled": 0,
		"invoice_payments?payment[type]=payment_intent&payment[payment_intent]=" + inv[2].Object: 1,
		"customers?email=a%40example.com": 1, "checkout/sessions?payment_intent=" + pay[1].Object: 1} {
		if ids, more := f.page("/v1/" + path); len(ids) != want || more {
			t.Errorf("%s: %d, want %d", path, len(ids), want)
		}
	}
	f.want(f.vendor(Stripe, "GET", "/v1/checkout/sessions/"+pay[2].Object, ""), 200)
}

func TestStripePosts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{})
	pay := f.s.Stripe().PayCheckout(CheckoutParams{Email: "a@example.com", Amount: 1000})
	f.want(f.vendor(Stripe, "POST", "/v1/refunds", "charge="+pay[0].Object+"&amount=400"), 200)
	f.want(f.vendor(Stripe, "POST", "/v1/refunds", "payment_intent="+pay[1].Object+"&metadata[a]=b"), 200)
	f.contains(f.want(f.vendor(Stripe, "POST", "/v1/refunds", "charge="+pay[0].Object), 400), "charge_already_refunded")
	f.want(f.vendor(Stripe, "POST", "/v1/refunds", "charge=ch_none"), 404)
	f.want(f.vendor(Stripe, "POST", "/v1/refunds", "charge="+pay[0].Object+"&amount=-5"), 400)
	evs := f.s.Stripe().Events()
	if got := types(evs[3:]); got != "refund.created charge.refunded refund.created charge.refunded" {
		t.Errorf("events %q", got)
	}
	c := f.want(f.vendor(Stripe, "POST", "/v1/customers", "email=x%40example.com"), 200).json(t)
	f.contains(f.want(f.vendor(Stripe, "POST", "/v1/customers/"+c["id"].(string), "name=X&metadata[k]=v"), 200), `"name":"X"`, `"k":"v"`)
	f.want(f.vendor(Stripe, "POST", "/v1/customers/cus_none", "name=X"), 404)
	f.want(f.vendor(Stripe, "POST", "/v1/customers", "metadata["+strings.Repeat("k", 41)+"]=v"), 400)
	r := f.want(f.vendor(Stripe, "POST", "/v1/webhook_endpoints", "url=https://example.com/hook&enabled_events[]=invoice.paid"), 200)
	f.contains(r, `"secret":"whsec_sandbox"`)
	if r := f.want(f.vendor(Stripe, "GET", "/v1/webhook_endpoints", ""), 200); strings.Contains(string(r.body), "whsec_") {
		t.Errorf("the list shows the secret: %s", r.body)
	}
	f.want(f.vendor(Stripe, "POST", "/v1/webhook_endpoints", "url=nope&enabled_events[]=*"), 400)
	f.want(f.vendor(Stripe, "POST", "/v1/webhook_endpoints", "url=https://example.com"), 400)
	f.want(f.vendor(Stripe, "POST", "/v1/webhook_endpoints", "typo=1"), 400)
}
