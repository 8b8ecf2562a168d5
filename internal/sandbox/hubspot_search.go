package sandbox

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits of HubSpot's search.
const (
	maxSearchPage    = 200
	maxSearchQuery   = 3000
	maxFilterGroups  = 5
	maxSearchFilters = 18
)

type hsFilter struct {
	PropertyName string   `json:"propertyName"`
	Operator     string   `json:"operator"`
	Value        string   `json:"value"`
	Values       []string `json:"values"`
	HighValue    string   `json:"highValue"`
}

type hsSearchInput struct {
	FilterGroups []struct {
		Filters []hsFilter `json:"filters"`
	} `json:"filterGroups"`
	Query      string          `json:"query"`
	Properties []string        `json:"properties"`
	Limit      int             `json:"limit"`
	After      json.RawMessage `json:"after"`
	Sorts      json.RawMessage `json:"sorts"`
}

// search looks at the objects as they were SearchLag ago: it sees neither a newer
// object nor a newer value of a property.
func (b *hubspotBackend) search(r *request, objs *hsObjects) answer {
	var in hsSearchInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return b.fail(hsInvalidJSON())
	}
	if e := b.checkSearch(in, objs == b.contacts); e != nil {
		return b.fail(e)
	}
	limit := ""
	if in.Limit != 0 {
		limit = strconv.Itoa(in.Limit)
	}
	n, after, e := hsPaging(limit, strings.Trim(string(in.After), `"`), maxSearchPage)
	if e != nil {
		return b.fail(e)
	}
	if limit == "" {
		n = 10 // HubSpot's default page
	}
	if in.Properties == nil {
		in.Properties = []string{}
	}
	at := b.opts.Clock.Now().Add(-b.opts.SearchLag)
	results, total := []map[string]any{}, 0
	for _, o := range objs.all {
		props := o.indexed(at)
		if props == nil || !in.matches(o, props) {
			continue
		}
		if total >= after && len(results) < n {
			results = append(results, viewOf(o, props, in.Properties))
		}
		total++
	}
	body := map[string]any{"total": total, "results": results}
	if after+n < total {
		body["paging"] = hsNext(after + n)
	}
	return jsonAnswer(http.StatusOK, body)
}

func (b *hubspotBackend) checkSearch(in hsSearchInput, contacts bool) *hsError {
	filters := 0
	for _, g := range in.FilterGroups {
		filters += len(g.Filters)
		for _, f := range g.Filters {
			if contacts && !b.properties[f.PropertyName] {
				return hsInvalid("INVALID_FILTER", "There was a problem with the request: no property "+strconv.Quote(f.PropertyName), "")
			}
			if !slices.Contains([]string{"EQ", "NEQ", "IN", "HAS_PROPERTY", "NOT_HAS_PROPERTY", "CONTAINS_TOKEN",
				"NOT_CONTAINS_TOKEN", "GT", "GTE", "LT", "LTE", "BETWEEN"}, f.Operator) {
				return hsInvalid("INVALID_FILTER", "There was a problem with the request: unknown operator", "")
			}
		}
	}
	switch {
	case len(in.FilterGroups) > maxFilterGroups, filters > maxSearchFilters:
		return hsInvalid("TOO_MANY_FILTERS", "There was a problem with the request: too many filters", "")
	case len(in.Query) > maxSearchQuery:
		return hsInvalid("", "The query exceeds 3000 characters", "")
	}
	return nil
}

// matches: the groups are alternatives, the filters in a group all hold.
func (in hsSearchInput) matches(o *hsObject, props map[string]string) bool {
	if in.Query != "" && !queryMatches(in.Query, props) {
		return false
	}
	if len(in.FilterGroups) == 0 {
		return true
	}
	for _, g := range in.FilterGroups {
		all := true
		for _, f := range g.Filters {
			all = all && f.matches(o, props)
		}
		if all {
			return true
		}
	}
	return false
}

func queryMatches(q string, props map[string]string) bool {
	for _, v := range props {
		if strings.Contains(strings.ToLower(v), strings.ToLower(q)) {
			return true
		}
	}
	return false
}

func (f hsFilter) matches(o *hsObject, props map[string]string) bool {
	if f.PropertyName == "associations.contact" {
		return f.Operator == "EQ" && slices.Contains(o.contactIDs, f.Value)
	}
	v, has := props[f.PropertyName]
	has = has && v != ""
	switch f.Operator {
	case "EQ":
		return has && strings.EqualFold(v, f.Value)
	case "NEQ":
		return has && !strings.EqualFold(v, f.Value)
	case "IN":
		return has && slices.ContainsFunc(f.Values, func(x string) bool { return strings.EqualFold(v, x) })
	case "HAS_PROPERTY":
		return has
	case "NOT_HAS_PROPERTY":
		return !has
	case "CONTAINS_TOKEN":
		return has && containsToken(v, f.Value)
	case "NOT_CONTAINS_TOKEN":
		return !has || !containsToken(v, f.Value)
	case "GT":
		return has && compareValues(v, f.Value) > 0
	case "GTE":
		return has && compareValues(v, f.Value) >= 0
	case "LT":
		return has && compareValues(v, f.Value) < 0
	case "LTE":
		return has && compareValues(v, f.Value) <= 0
	case "BETWEEN":
		return has && compareValues(v, f.Value) >= 0 && compareValues(v, f.HighValue) <= 0
	default:
		return false
	}
}

// compareValues compares numbers and times (milliseconds or ISO 8601) by value,
// anything else by its text.
func compareValues(a, b string) int {
	x, okA := numberOf(a)
	y, okB := numberOf(b)
	if !okA || !okB {
		return strings.Compare(a, b)
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

func numberOf(s string) (float64, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return f, true
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return float64(t.UnixMilli()), true
	}
	return 0, false
}

// containsToken is the word search of HubSpot's index: HTML is taken away, text and
// value fall apart into words of letters and digits, and the value's words must stand
// side by side. A "*" at the value's ends lets the outer words be parts of words.
// How the real index cuts words at a hyphen is unconfirmed.
func containsToken(text, value string) bool {
	open, end := strings.HasPrefix(value, "*"), strings.HasSuffix(value, "*")
	want := words(value)
	if len(want) == 0 {
		return false
	}
	if !strings.Contains(strings.ToLower(text), want[0]) {
		return false // most texts, cheaply
	}
	have := words(htmlTag.ReplaceAllString(text, " "))
	for i := 0; i+len(want) <= len(have); i++ {
		ok := true
		for j, w := range want {
			h := have[i+j]
			first, last := j == 0 && open, j == len(want)-1 && end
			switch {
			case first && last:
				ok = ok && strings.Contains(h, w)
			case first:
				ok = ok && strings.HasSuffix(h, w)
			case last:
				ok = ok && strings.HasPrefix(h, w)
			default:
				ok = ok && h == w
			}
		}
		if ok {
			return true
		}
	}
	return false
}

// htmlTag is one tag of HTML; hs_note_body is HTML.
var htmlTag = regexp.MustCompile(`<[^>]*>`)

func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func lower(s string) string { return strings.ToLower(s) }
