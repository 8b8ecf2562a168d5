package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// routePost is what the API itself can write.
func (b *stripeBackend) routePost(r *request, kind string, segs []string, params url.Values) answer {
	switch {
	case kind == "customers":
		return b.postCustomer(segs, params)
	case kind == "refunds" && len(segs) == 0:
		return b.postRefund(params)
	case kind == "webhook_endpoints" && len(segs) == 0:
		return b.postEndpoint(params)
	default:
		return b.noRoute(r)
	}
}

// postCustomer makes or changes a customer. E-mails are not unique at Stripe.
func (b *stripeBackend) postCustomer(segs []string, params url.Values) answer {
	set, meta := stObject{}, map[string]string{}
	for name, v := range params {
		if key, ok := bracket(name, "metadata"); ok {
			meta[key] = v[0]
			continue
		}
		switch name {
		case "email", "name", "phone", "description":
			set[name] = null(v[0])
		default:
			return stUnknownParam(name)
		}
	}
	if bad := checkMetadata(meta); bad != nil {
		return *bad
	}
	var c stObject
	if len(segs) == 1 {
		found, ok := b.lists["customers"].get(segs[0])
		if !ok {
			return stMissing("customer", segs[0], "id")
		}
		c = found
	} else {
		c = b.newCustomer("", "")
	}
	for k, v := range set {
		c[k] = v
	}
	merged := cloneMap(c["metadata"].(map[string]string)) // newCustomer made it
	for k, v := range meta {
		merged[k] = v
	}
	c["metadata"] = merged
	return jsonAnswer(http.StatusOK, c)
}

// checkMetadata: 50 keys of at most 40 characters, values of at most 500.
func checkMetadata(meta map[string]string) *answer {
	bad := len(meta) > 50
	for k, v := range meta {
		bad = bad || len([]rune(k)) > 40 || len([]rune(v)) > 500
	}
	if !bad {
		return nil
	}
	a := stInvalid("", "Metadata can have 50 keys of at most 40 characters and values of at most 500.", "metadata")
	return &a
}

func (b *stripeBackend) postRefund(params url.Values) answer {
	amount, meta := int64(0), map[string]string{}
	for name, v := range params {
		key, isMeta := bracket(name, "metadata")
		switch {
		case isMeta:
			meta[key] = v[0]
		case name == "amount":
			n, err := strconv.ParseInt(v[0], 10, 64)
			if err != nil || n <= 0 {
				return stInvalid("parameter_invalid_integer", "Invalid positive integer", "amount")
			}
			amount = n
		case name == "charge", name == "payment_intent", name == "reason":
		default:
			return stUnknownParam(name)
		}
	}
	if bad := checkMetadata(meta); bad != nil {
		return *bad
	}
	charge := params.Get("charge")
	if pi, ok := b.lists["payment_intents"].get(params.Get("payment_intent")); ok && charge == "" {
		charge = str(pi["latest_charge"])
	}
	if _, ok := b.lists["charges"].get(charge); !ok {
		return stMissing("charge", charge, "charge")
	}
	re, _ := b.refund(charge, amount, params.Get("reason"), meta)
	if re == nil {
		return stInvalid("charge_already_refunded", "The charge has already been refunded, or less than the amount is left.", "amount")
	}
	return jsonAnswer(http.StatusOK, re)
}

func (b *stripeBackend) postEndpoint(params url.Values) answer {
	for name := range params {
		if !oneOf(name, "url", "enabled_events[]", "description", "api_version") || name == "" {
			return stUnknownParam(name)
		}
	}
	u, err := url.Parse(params.Get("url"))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return stInvalid("url_invalid", "Not a valid URL", "url")
	}
	if len(params["enabled_events[]"]) == 0 {
		return stInvalid("parameter_missing", "Missing required param: enabled_events.", "enabled_events")
	}
	o := b.lists["webhook_endpoints"].add(stObject{"id": b.ids.stripe("we"), "object": "webhook_endpoint",
		"api_version": null(params.Get("api_version")), "application": nil, "created": b.now(),
		"description": null(params.Get("description")), "enabled_events": params["enabled_events[]"], "livemode": false,
		"metadata": stObject{}, "status": "enabled", "url": params.Get("url"), "secret": b.opts.StripeWebhookSecret})
	return jsonAnswer(http.StatusOK, o)
}

// bracket reads "metadata[key]".
func bracket(name, base string) (string, bool) {
	rest, ok := strings.CutPrefix(name, base+"[")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "]")
}
