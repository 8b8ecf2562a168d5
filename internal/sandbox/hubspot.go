package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// hubspotWindow is the length of HubSpot's rolling rate window.
const hubspotWindow = 10 * time.Second

// hubspotBackend is HubSpot's CRM API as far as contacts and notes go
// (vendors.md, section 3.1).
type hubspotBackend struct {
	opts       Options
	ids        *ids
	properties map[string]bool // contact properties that exist

	mu       sync.Mutex
	contacts *hsObjects
	notes    *hsObjects
	byEmail  map[string]string // e-mail → contact id
	erased   []string          // ids of contacts that were deleted for good
	window   []time.Time       // requests of the rolling window
}

func newHubspot(opts Options, ids *ids) *hubspotBackend {
	b := &hubspotBackend{opts: opts, ids: ids, properties: map[string]bool{}}
	for _, p := range []string{"email", "firstname", "lastname", "phone", "mobilephone", "company", "website", "jobtitle",
		"address", "city", "state", "zip", "country", "lifecyclestage", "hs_lead_status", "hs_language", "message",
		"hs_object_id", "createdate", "lastmodifieddate", "hs_additional_emails", "hubspot_owner_id"} {
		b.properties[p] = true
	}
	for _, p := range opts.HubSpotProperties {
		b.properties[p] = true
	}
	b.reset()
	return b
}

func (b *hubspotBackend) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.contacts, b.notes = newHSObjects(), newHSObjects()
	b.byEmail = map[string]string{}
	b.erased = nil
	b.window = nil
}

// hsObject is a contact or a note. versions are its properties over time, newest
// last, as far back as the search index may still show them.
type hsObject struct {
	id                      string
	versions                []hsVersion
	created                 time.Time
	writes                  int
	createdKey, modifiedKey string   // the names of its two time properties
	contactIDs              []string // of a note
	noteIDs                 []string // of a contact
}

type hsVersion struct {
	at    time.Time
	props map[string]string // never changed once it is here
}

func (o *hsObject) props() map[string]string { return o.versions[len(o.versions)-1].props }

// write lays properties over the object. Versions that no index shows any more go.
func (o *hsObject) write(props map[string]string, now time.Time, lag time.Duration) {
	next := make(map[string]string, len(props)+4)
	if len(o.versions) > 0 {
		for k, v := range o.props() {
			next[k] = v
		}
	}
	for k, v := range props {
		next[k] = v
	}
	next[o.modifiedKey] = rfc3339(now)
	o.versions = append(o.versions, hsVersion{at: now, props: next})
	for len(o.versions) > 1 && !o.versions[1].at.After(now.Add(-lag)) {
		o.versions = o.versions[1:]
	}
	o.writes++
}

// indexed returns the properties as the search index has them at a time, nil when it
// does not have the object yet.
func (o *hsObject) indexed(at time.Time) map[string]string {
	for i := len(o.versions) - 1; i >= 0; i-- {
		if !o.versions[i].at.After(at) {
			return o.versions[i].props
		}
	}
	return nil
}

// hsObjects are the objects of one type in order of creation.
type hsObjects struct {
	byID map[string]*hsObject
	all  []*hsObject
}

func newHSObjects() *hsObjects { return &hsObjects{byID: map[string]*hsObject{}} }

func (s *hsObjects) add(o *hsObject) {
	s.byID[o.id] = o
	s.all = append(s.all, o)
}

func (b *hubspotBackend) snapshot(s *Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Contacts, s.Notes = make([]Contact, 0, len(b.contacts.all)), make([]Note, 0, len(b.notes.all))
	for _, o := range b.contacts.all {
		s.Contacts = append(s.Contacts, Contact{ID: o.id, Properties: cloneMap(o.props()), CreatedAt: o.created,
			Writes: o.writes})
	}
	for _, o := range b.notes.all {
		n := Note{ID: o.id, Body: o.props()["hs_note_body"], Properties: cloneMap(o.props()), CreatedAt: o.created}
		if len(o.contactIDs) > 0 {
			n.ContactID = o.contactIDs[0]
		}
		s.Notes = append(s.Notes, n)
	}
	s.ErasedContacts = append([]string{}, b.erased...)
}

func (b *hubspotBackend) count(c *Counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Contacts, c.Notes = len(b.contacts.all), len(b.notes.all)
}

func cloneMap(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// hsError is HubSpot's error schema.
type hsError struct {
	Status        string          `json:"status"`
	Message       string          `json:"message"`
	CorrelationID string          `json:"correlationId,omitempty"`
	Category      string          `json:"category"`
	PolicyName    string          `json:"policyName,omitempty"`
	ErrorType     string          `json:"errorType,omitempty"`
	Errors        []hsErrorDetail `json:"errors,omitempty"`
	Context       map[string]any  `json:"context,omitempty"`
	httpStatus    int
}

type hsErrorDetail struct {
	Message string              `json:"message"`
	Code    string              `json:"code,omitempty"`
	Context map[string][]string `json:"context,omitempty"`
}

func hsInvalid(code, message, property string) *hsError {
	e := &hsError{Message: message, Category: "VALIDATION_ERROR", httpStatus: http.StatusBadRequest}
	if code != "" {
		d := hsErrorDetail{Message: message, Code: code}
		if property != "" {
			d.Context = map[string][]string{"propertyName": {property}}
		}
		e.Errors = []hsErrorDetail{d}
	}
	return e
}

func hsNotFound(message string) *hsError {
	return &hsError{Message: message, Category: "OBJECT_NOT_FOUND", httpStatus: http.StatusNotFound}
}

// fail sends an error with a correlation id.
func (b *hubspotBackend) fail(e *hsError) answer {
	e.Status, e.CorrelationID = "error", b.ids.uuid()
	return jsonAnswer(e.httpStatus, e).with("X-Hubspot-Correlation-Id", e.CorrelationID)
}

func (b *hubspotBackend) failure(kind failureKind, status int) answer {
	e := &hsError{httpStatus: status, Category: "INTERNAL_ERROR", Message: "internal error"}
	switch kind {
	case failRateLimited:
		e = hsRate("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit.")
	case failDailyQuota:
		e = hsRate("DAILY", "You have reached your daily limit.")
	case failUnauthorized:
		e = &hsError{httpStatus: http.StatusUnauthorized, Category: "INVALID_AUTHENTICATION",
			Message: "Authentication credentials not found or invalid."}
	case failLiveKey:
		e = &hsError{httpStatus: http.StatusUnauthorized, Category: "INVALID_AUTHENTICATION", Message: liveKeyMessage}
	case failTooLarge:
		e = &hsError{httpStatus: status, Category: "VALIDATION_ERROR", Message: "The request body is too large"}
	case failServer:
		if status == http.StatusServiceUnavailable {
			e.Message = "The service is temporarily unavailable"
		}
	}
	return b.fail(e)
}

func hsRate(policy, message string) *hsError {
	return &hsError{httpStatus: http.StatusTooManyRequests, Category: "RATE_LIMITS", ErrorType: "RATE_LIMIT",
		PolicyName: policy, Message: message}
}

// serve routes /crm/v3/objects/… and the dated form /crm/objects/2026-03/….
func (b *hubspotBackend) serve(r *request) answer {
	if r.header.Get("Authorization") != "Bearer "+Token {
		return b.failure(failUnauthorized, 0)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left, ok := b.take(b.opts.Clock.Now())
	if !ok {
		return b.failure(failRateLimited, 0)
	}
	a := b.routeObjects(r)
	if b.opts.HubSpotRate > 0 && !strings.HasSuffix(r.path, "/search") { // absent on search
		a = a.with("X-HubSpot-RateLimit-Max", strconv.Itoa(b.opts.HubSpotRate)).
			with("X-HubSpot-RateLimit-Remaining", strconv.Itoa(left)).
			with("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")
	}
	return a
}

// take counts a request against the rolling window.
func (b *hubspotBackend) take(now time.Time) (left int, ok bool) {
	if b.opts.HubSpotRate <= 0 {
		return 0, true
	}
	for len(b.window) > 0 && now.Sub(b.window[0]) >= hubspotWindow {
		b.window = b.window[1:]
	}
	if len(b.window) >= b.opts.HubSpotRate {
		return 0, false
	}
	b.window = append(b.window, now)
	return b.opts.HubSpotRate - len(b.window), true
}

func (b *hubspotBackend) routeObjects(r *request) answer {
	segs := r.segs
	dated := len(segs) > 3 && segs[0] == "crm" && segs[1] == "objects" && datedVersion.MatchString(segs[2])
	v3 := len(segs) > 3 && segs[0] == "crm" && segs[1] == "v3" && segs[2] == "objects"
	if !dated && !v3 {
		return b.noRoute()
	}
	rest := strings.Join(segs[4:], "/")
	switch segs[3] {
	case "contacts", "0-1", "contact":
		return b.routeContacts(r, segs[4:], rest)
	case "notes", "0-46", "note":
		return b.routeNotes(r, segs[4:], rest)
	default:
		return b.fail(hsInvalid("", "Unable to infer object type from: "+segs[3], ""))
	}
}

func (b *hubspotBackend) routeContacts(r *request, segs []string, rest string) answer {
	switch {
	case r.method == http.MethodPost && rest == "":
		return b.createContact(r)
	case r.method == http.MethodPost && rest == "batch/upsert":
		return b.upsertContacts(r)
	case r.method == http.MethodPost && rest == "batch/read":
		return b.batchRead(r, b.contacts)
	case r.method == http.MethodPost && rest == "search":
		return b.search(r, b.contacts)
	case r.method == http.MethodPost && rest == "gdpr-delete":
		return b.eraseContact(r)
	case r.method == http.MethodGet && len(segs) == 1:
		return b.getContact(r, segs[0])
	case r.method == http.MethodPatch && len(segs) == 1:
		return b.patchContact(r, segs[0])
	case r.method == http.MethodGet && len(segs) == 3 && segs[1] == "associations" && segs[2] == "notes":
		return b.listAssociations(r, segs[0])
	default:
		return b.noRoute()
	}
}

func (b *hubspotBackend) routeNotes(r *request, segs []string, rest string) answer {
	switch {
	case r.method == http.MethodPost && rest == "":
		return b.createNote(r)
	case r.method == http.MethodPost && rest == "batch/read":
		return b.batchRead(r, b.notes)
	case r.method == http.MethodPost && rest == "search":
		return b.search(r, b.notes)
	case r.method == http.MethodGet && len(segs) == 1:
		return b.getObject(r, b.notes, segs[0])
	default:
		return b.noRoute()
	}
}

func (b *hubspotBackend) noRoute() answer {
	return b.fail(hsNotFound("resource not found"))
}

// datedVersion is the version of a dated path (vendors.md, section 3.1, "Path styles").
var datedVersion = regexp.MustCompile(`^20\d\d-\d\d$`)

// hsProps reads property values: strings as they are, numbers and booleans as their
// text, null as "".
type hsProps map[string]string

// UnmarshalJSON reads any scalar as a string.
func (p *hsProps) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	out := make(hsProps, len(raw))
	for k, v := range raw {
		var s string
		switch {
		case string(v) == "null":
		case len(v) > 0 && v[0] == '"':
			if err := json.Unmarshal(v, &s); err != nil {
				return err
			}
		case len(v) > 0 && (v[0] == '{' || v[0] == '['):
			return &json.UnmarshalTypeError{Value: "object", Field: k}
		default:
			s = string(v)
		}
		out[k] = s
	}
	*p = out
	return nil
}
