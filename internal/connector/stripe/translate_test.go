package stripe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	stripego "github.com/stripe/stripe-go/v85"

	"bellhop"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var at = time.Unix(1772366400, 0).UTC()

func TestTranslateFiles(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	ada := bellhop.PersonHint{Email: "ada@example.com", Name: "Ada Byron", CustomerRef: "stripe:cus_1"}
	guest := bellhop.PersonHint{Email: "ada@example.com", Name: "Ada Byron", Phone: "+441234"}
	for name, want := range map[string]bellhop.Inbound{
		"invoice_paid": {ExternalID: "evt_inv", Kind: bellhop.KindPaymentSucceeded, VendorType: "invoice.paid", OccurredAt: at, Person: ada,
			Payment: &bellhop.PaymentFact{Refs: []string{"in_1", "pi_1"}, Object: "in_1", Type: bellhop.FactInvoice, Status: bellhop.FactSucceeded,
				Amount: 4900, Currency: "eur", CustomerRef: "cus_1", Description: "A-0001", At: at}},
		"invoice_paid_before_basil": {ExternalID: "evt_old", Kind: bellhop.KindPaymentSucceeded, VendorType: "invoice.paid", OccurredAt: at,
			Person: bellhop.PersonHint{Email: "grace@example.com", CustomerRef: "stripe:cus_2"},
			Payment: &bellhop.PaymentFact{Refs: []string{"in_2", "pi_2", "ch_2"}, Object: "in_2", Type: bellhop.FactInvoice,
				Status: bellhop.FactSucceeded, Amount: 1000, Currency: "jpy", CustomerRef: "cus_2", At: at}},
		"checkout_completed": {ExternalID: "evt_cs", Kind: bellhop.KindPaymentSucceeded, VendorType: "checkout.session.completed", OccurredAt: at,
			Person: guest, Payment: &bellhop.PaymentFact{Refs: []string{"cs_1", "pi_1"}, Object: "cs_1", Type: bellhop.FactMoney,
				Status: bellhop.FactSucceeded, Amount: 4900, Currency: "eur", At: at}},
		"charge_succeeded": {ExternalID: "evt_ch", Kind: bellhop.KindPaymentSucceeded, VendorType: "charge.succeeded", OccurredAt: at, Person: ada,
			Payment: &bellhop.PaymentFact{Refs: []string{"ch_1", "pi_1"}, Object: "ch_1", Type: bellhop.FactMoney, Status: bellhop.FactSucceeded,
				Amount: 4900, Currency: "eur", CustomerRef: "cus_1", Description: "Pro plan", At: at}},
		"subscription_updated": {ExternalID: "evt_sub", Kind: bellhop.KindSubscriptionUpdated, VendorType: "customer.subscription.updated",
			OccurredAt: at, Person: bellhop.PersonHint{CustomerRef: "stripe:cus_1"},
			Subscription: &bellhop.SubscriptionFact{Ref: "sub_1", Status: bellhop.SubscriptionActive, CustomerRef: "cus_1", Plan: "pro_monthly",
				CancelAtPeriodEnd: true, CurrentPeriodEnd: time.Unix(1775044800, 0).UTC(), At: at}},
	} {
		got, err := c.translate(file(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v %+v %+v\nwant %+v %+v %+v", name, got, got.Payment, got.Subscription, want, want.Payment, want.Subscription)
		}
	}
}

// event makes an event's body.
func eventBody(typ, object string) []byte {
	return []byte(`{"id":"evt_1","object":"event","created":1772366400,"livemode":false,"type":"` + typ + `","data":{"object":` + object + `}}`)
}

func TestTranslateEachType(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	for _, tt := range []struct {
		name, typ, object string
		kind              bellhop.Kind
		want              string // type status amount refunded refs reason, "" for no fact
	}{
		{"refund total", "charge.refunded", `{"id":"ch_1","amount":900,"amount_refunded":300,"currency":"usd","payment_intent":{"id":"pi_1"},"captured":true}`, bellhop.KindPaymentRefunded, "money succeeded 900 300 ch_1,pi_1 "},
		{"charge failed", "charge.failed", `{"id":"ch_1","amount":900,"currency":"usd","failure_message":"declined","failure_code":"card_declined"}`, bellhop.KindPaymentFailed, "money failed 900 0 ch_1 declined"},
		{"charge held", "charge.succeeded", `{"id":"ch_1","amount":900,"captured":false}`, bellhop.KindOther, ""},
		{"charge captured in part", "charge.captured", `{"id":"ch_1","amount":900,"amount_captured":500,"amount_refunded":400,"captured":true}`, bellhop.KindPaymentSucceeded, "money succeeded 500 0 ch_1 "},
		{"old charge with invoice", "charge.succeeded", `{"id":"ch_1","amount":9,"invoice":"in_1","payment_intent":null}`, bellhop.KindPaymentSucceeded, "money succeeded 9 0 ch_1,in_1 "},
		{"intent", "payment_intent.succeeded", `{"id":"pi_1","amount":900,"amount_received":800,"latest_charge":"ch_1"}`, bellhop.KindPaymentSucceeded, "money succeeded 800 0 pi_1,ch_1 "},
		{"intent failed", "payment_intent.payment_failed", `{"id":"pi_1","amount":900,"latest_charge":null,"last_payment_error":{"code":"card_declined","decline_code":"insufficient_funds","message":"no funds","charge":"ch_2"}}`, bellhop.KindPaymentFailed, "money failed 900 0 pi_1,ch_2 no funds"},
		{"session unpaid", "checkout.session.completed", `{"id":"cs_1","mode":"payment","payment_status":"unpaid","amount_total":900,"payment_intent":"pi_1"}`, bellhop.KindOther, ""},
		{"session free", "checkout.session.completed", `{"id":"cs_1","mode":"payment","payment_status":"no_payment_required","amount_total":0}`, bellhop.KindOther, ""},
		{"session paid later", "checkout.session.async_payment_succeeded", `{"id":"cs_1","mode":"payment","payment_status":"paid","currency":"usd","amount_total":900,"payment_intent":"pi_1"}`, bellhop.KindPaymentSucceeded, "money succeeded 900 0 cs_1,pi_1 "},
		{"session failed later", "checkout.session.async_payment_failed", `{"id":"cs_1","mode":"payment","payment_status":"unpaid","currency":"usd","amount_total":900,"payment_intent":"pi_1"}`, bellhop.KindPaymentFailed, "money failed 900 0 cs_1,pi_1 "},
		{"session without amount", "checkout.session.completed", `{"id":"cs_1","mode":"payment","payment_status":"paid","amount_total":null,"payment_intent":"pi_1"}`, bellhop.KindPaymentSucceeded, "link succeeded 0 0 cs_1,pi_1 "},
		{"session of a subscription", "checkout.session.completed", `{"id":"cs_1","mode":"subscription","payment_status":"paid","amount_total":900,"invoice":"in_1","subscription":"sub_1"}`, bellhop.KindPaymentSucceeded, "link succeeded 0 0 cs_1,in_1 "},
		{"session of a trial", "checkout.session.completed", `{"id":"cs_1","mode":"subscription","payment_status":"no_payment_required","invoice":"in_1","subscription":"sub_1"}`, bellhop.KindOther, ""},
		{"session of a set-up", "checkout.session.completed", `{"id":"cs_1","mode":"setup","payment_status":"no_payment_required","setup_intent":"seti_1"}`, bellhop.KindOther, ""},
		{"invoice failed", "invoice.payment_failed", `{"id":"in_1","amount_due":900,"amount_paid":0,"payments":null}`, bellhop.KindPaymentFailed, "invoice failed 900 0 in_1 "},
		{"invoice of a trial", "invoice.paid", `{"id":"in_1","amount_due":0,"amount_paid":0}`, bellhop.KindOther, ""},
		{"invoice payment", "invoice_payment.paid", `{"id":"inpay_1","amount_paid":900,"invoice":"in_1","payment":{"type":"payment_intent","payment_intent":"pi_1"}}`, bellhop.KindPaymentSucceeded, "link succeeded 900 0 in_1,pi_1 "},
		{"invoice payment by charge", "invoice_payment.paid", `{"id":"inpay_1","invoice":{"id":"in_1"},"payment":{"type":"charge","charge":"ch_1"}}`, bellhop.KindPaymentSucceeded, "link succeeded 0 0 in_1,ch_1 "},
		{"invoice paid elsewhere", "invoice_payment.paid", `{"id":"inpay_1","invoice":"in_1","payment":{"type":"payment_record","payment_record":"pr_1"}}`, bellhop.KindOther, ""},
		{"refund", "refund.created", `{"id":"re_1","amount":300,"status":"pending","charge":"ch_1","payment_intent":"pi_1","reason":"requested_by_customer"}`, bellhop.KindPaymentRefunded, "refund pending 300 0 ch_1,pi_1 requested_by_customer"},
		{"refund failed", "refund.failed", `{"id":"re_1","amount":300,"status":"failed","charge":"ch_1","failure_reason":"expired_or_canceled_card"}`, bellhop.KindPaymentRefunded, "refund failed 300 0 ch_1 expired_or_canceled_card"},
		{"refund canceled", "refund.updated", `{"id":"re_1","amount":300,"status":"canceled","charge":"ch_1"}`, bellhop.KindPaymentRefunded, "refund canceled 300 0 ch_1 "},
		{"refund without payment", "refund.updated", `{"id":"re_1","amount":300,"status":"succeeded","charge":null}`, bellhop.KindOther, ""},
		{"dispute", "charge.dispute.created", `{"id":"dp_1","amount":900,"status":"needs_response","charge":"ch_1","payment_intent":"pi_1","reason":"fraudulent"}`, bellhop.KindPaymentDisputed, "dispute open 900 0 ch_1,pi_1 fraudulent"},
		{"dispute won", "charge.dispute.closed", `{"id":"dp_1","amount":900,"status":"won","charge":"ch_1"}`, bellhop.KindPaymentDisputed, "dispute won 900 0 ch_1 "},
		{"dispute lost", "charge.dispute.closed", `{"id":"dp_1","amount":900,"status":"lost","charge":"ch_1"}`, bellhop.KindPaymentDisputed, "dispute lost 900 0 ch_1 "},
		{"inquiry closed", "charge.dispute.closed", `{"id":"dp_1","amount":900,"status":"warning_closed","charge":"ch_1"}`, bellhop.KindPaymentDisputed, "dispute won 900 0 ch_1 "},
		{"unknown type", "radar.early_fraud_warning.created", `{"id":"issfr_1"}`, bellhop.KindOther, ""},
		{"unknown type without object", "v9.something", `null`, bellhop.KindOther, ""},
	} {
		in, err := c.translate(eventBody(tt.typ, tt.object))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := describe(in.Payment); in.Kind != tt.kind || got != tt.want {
			t.Errorf("%s: %s %q, want %s %q", tt.name, in.Kind, got, tt.kind, tt.want)
		}
	}
}

func describe(f *bellhop.PaymentFact) string {
	if f == nil {
		return ""
	}
	n := func(v int64) string { b, _ := json.Marshal(v); return string(b) }
	return strings.Join([]string{string(f.Type), string(f.Status), n(f.Amount), n(f.AmountRefunded), strings.Join(f.Refs, ","), f.Reason}, " ")
}

func TestSubscriptionStates(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	for status, want := range map[string]bellhop.SubscriptionStatus{"incomplete": bellhop.SubscriptionIncomplete,
		"incomplete_expired": bellhop.SubscriptionCancelled, "trialing": bellhop.SubscriptionTrialing, "active": bellhop.SubscriptionActive,
		"past_due": bellhop.SubscriptionPastDue, "unpaid": bellhop.SubscriptionPastDue, "canceled": bellhop.SubscriptionCancelled,
		"paused": bellhop.SubscriptionPaused} {
		in, err := c.translate(eventBody("customer.subscription.created", `{"id":"sub_1","status":"`+status+`","customer":"cus_1"}`))
		if err != nil || in.Kind != bellhop.KindSubscriptionCreated || in.Subscription.Status != want {
			t.Errorf("%s: %+v, %v", status, in.Subscription, err)
		}
	}
	in, err := c.translate(eventBody("customer.subscription.deleted", `{"id":"sub_1","status":"active","cancel_at":null}`))
	if err != nil || in.Kind != bellhop.KindSubscriptionCancelled || in.Subscription.Status != bellhop.SubscriptionCancelled || in.Subscription.CancelAtPeriodEnd {
		t.Errorf("deleted: %+v, %v", in.Subscription, err)
	}
	old, err := c.translate(eventBody("customer.subscription.updated", `{"id":"sub_1","status":"active","current_period_end":1775044800,"plan":{"id":"plan_1","nickname":"Pro"}}`))
	if err != nil || old.Subscription.Plan != "Pro" || old.Subscription.CurrentPeriodEnd.Unix() != 1775044800 {
		t.Errorf("before basil: %+v, %v", old.Subscription, err)
	}
}

func TestTranslateRefuses(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	live := newTest(t, "rk_live_1", "whsec_1")
	deep := `{"id":"evt_1","object":"event","type":"x.y","livemode":false,"data":{"object":` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000) + `}}`
	for name, tt := range map[string]struct {
		c    *Connector
		body string
		want bellhop.Code
	}{
		"empty": {c, "", bellhop.CodeMalformed}, "not JSON": {c, "hello", bellhop.CodeMalformed}, "list": {c, "[]", bellhop.CodeMalformed},
		"null": {c, "null", bellhop.CodeMalformed}, "no id": {c, `{"object":"event","type":"charge.failed"}`, bellhop.CodeMalformed},
		"no type":         {c, `{"id":"evt_1","object":"event"}`, bellhop.CodeMalformed},
		"other object":    {c, `{"id":"ch_1","object":"charge","type":"x"}`, bellhop.CodeMalformed},
		"hostile id":      {c, `{"id":"evt_1' OR 1","object":"event","type":"x"}`, bellhop.CodeMalformed},
		"two values":      {c, string(eventBody("x.y", "{}")) + "{}", bellhop.CodeMalformed},
		"invalid UTF-8":   {c, string(eventBody("x.y", "{\"a\":\"\xff\"}")), bellhop.CodeMalformed},
		"NUL byte":        {c, string(eventBody("x.y", "{\"a\":\"\x00\"}")), bellhop.CodeMalformed},
		"NUL escape":      {c, string(eventBody("x.y", `{"a":"\u0000"}`)), bellhop.CodeMalformed},
		"NUL after slash": {c, string(eventBody("x.y", `{"a":"\\\u0000"}`)), bellhop.CodeMalformed},
		"too deep":        {c, deep, bellhop.CodeMalformed},
		"object is text":  {c, string(eventBody("charge.failed", `"ch_1"`)), bellhop.CodeMalformed},
		"object is null":  {c, string(eventBody("charge.failed", `null`)), bellhop.CodeMalformed},
		"object no id":    {c, string(eventBody("charge.failed", `{}`)), bellhop.CodeMalformed},
		"amount is text":  {c, string(eventBody("charge.failed", `{"id":"ch_1","amount":"9"}`)), bellhop.CodeMalformed},
		"thin":            {c, string(file(t, "thin")), bellhop.CodeMalformed},
		"test on live":    {live, string(eventBody("x.y", "{}")), bellhop.CodeModeMismatch},
		"live on test":    {c, strings.Replace(string(eventBody("x.y", "{}")), "false", "true", 1), bellhop.CodeModeMismatch},
		"no mode on live": {live, `{"id":"evt_1","object":"event","type":"x.y"}`, bellhop.CodeModeMismatch},
	} {
		_, err := tt.c.translate([]byte(tt.body))
		if err == nil || bellhop.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	_, err := c.translate(file(t, "thin"))
	if e, ok := err.(*bellhop.Error); !ok || !strings.Contains(e.NextStep, "Snapshot") {
		t.Errorf("thin: %v does not say what to do", err)
	}
}

func TestTranslateTakes(t *testing.T) {
	t.Parallel()
	c := newTest(t, "sk_test_1", "whsec_1")
	for name, object := range map[string]string{
		"escaped backslash before u0000": `{"a":"\\u0000"}`,
		"9,000 levels":                   strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000),
		"every member null":              `{"id":null}`,
	} {
		if in, err := c.translate(eventBody("x.y", object)); err != nil || in.Kind != bellhop.KindOther {
			t.Errorf("%s: %v", name, err)
		}
	}
	nulls := `{"id":"ch_1","amount":1,"amount_refunded":null,"amount_captured":null,"captured":null,"currency":null,"customer":null,"payment_intent":null,"invoice":null,"billing_details":null,"receipt_email":null,"description":null,"failure_message":null}`
	if in, err := c.translate(eventBody("charge.succeeded", nulls)); err != nil || in.Payment == nil {
		t.Errorf("nulls: %v", err)
	}
}

// TestEveryTypeIsStripes compares the subscribed types with stripe-go's.
func TestEveryTypeIsStripes(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, e := range []stripego.EventType{stripego.EventTypeChargeCaptured, stripego.EventTypeChargeDisputeClosed, stripego.EventTypeChargeDisputeCreated,
		stripego.EventTypeChargeDisputeFundsReinstated, stripego.EventTypeChargeDisputeFundsWithdrawn, stripego.EventTypeChargeDisputeUpdated,
		stripego.EventTypeChargeFailed, stripego.EventTypeChargeRefunded, stripego.EventTypeChargeSucceeded,
		stripego.EventTypeCheckoutSessionAsyncPaymentFailed, stripego.EventTypeCheckoutSessionAsyncPaymentSucceeded,
		stripego.EventTypeCheckoutSessionCompleted, stripego.EventTypeCustomerCreated, stripego.EventTypeCustomerSubscriptionCreated,
		stripego.EventTypeCustomerSubscriptionDeleted, stripego.EventTypeCustomerSubscriptionPaused, stripego.EventTypeCustomerSubscriptionResumed,
		stripego.EventTypeCustomerSubscriptionUpdated, stripego.EventTypeCustomerUpdated, stripego.EventTypeInvoicePaid,
		stripego.EventTypeInvoicePaymentFailed, stripego.EventTypeInvoicePaymentSucceeded, stripego.EventTypeInvoicePaymentPaid,
		stripego.EventTypePaymentIntentPaymentFailed, stripego.EventTypePaymentIntentSucceeded, stripego.EventTypeRefundCreated,
		stripego.EventTypeRefundFailed, stripego.EventTypeRefundUpdated} {
		known[string(e)] = true
	}
	for _, typ := range Vendor().Manifest.Webhooks.Events {
		if !known[typ] {
			t.Errorf("%s is not among stripe-go's types", typ)
		}
		if translatorOf(typ) == nil {
			t.Errorf("%s is subscribed to and nothing reads it", typ)
		}
		delete(known, typ)
	}
	if len(known) != 0 {
		t.Errorf("not subscribed to: %v", known)
	}
}

func FuzzTranslate(f *testing.F) {
	for _, name := range []string{"invoice_paid", "invoice_paid_before_basil", "checkout_completed", "charge_succeeded", "subscription_updated", "thin"} {
		f.Add(file(f, name))
	}
	f.Add(eventBody("refund.created", `{"id":"re_1","charge":{"id":"ch_1"}}`))
	f.Add(eventBody("charge.dispute.closed", `{"id":"dp_1","status":"won","charge":"ch_1"}`))
	c := newTest(f, "sk_test_1", "whsec_1")
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := c.translate(body)
		if err != nil {
			if code := bellhop.CodeOf(err); code != bellhop.CodeMalformed && code != bellhop.CodeModeMismatch {
				t.Errorf("code %s", code)
			}
			return
		}
		if !validID(in.ExternalID) || in.Kind == "" || (in.Payment != nil && len(in.Payment.Refs) == 0) {
			t.Errorf("%+v", in)
		}
	})
}
