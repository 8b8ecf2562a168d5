package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// PersonExport is everything that is stored about one person.
type PersonExport struct {
	PersonID   string    `json:"person_id"`
	ExportedAt time.Time `json:"exported_at"`
	// SHA256 is of Data as compact JSON. An erasure's receipt names the same digest for the
	// same data, so whoever has kept an export can show what was erased.
	SHA256 string `json:"sha256"`
	// Data holds the rows by table, as column and value.
	Data map[string][]map[string]any `json:"data"`
}

// personTable says what of a table is exported.
type personTable struct {
	name    string
	columns string // "name" or "name:type", see exportValue
	by      string // the column that is searched
	ids     func(personScope) []string
	order   string // columns; "" means id
}

// personTables lists the tables that hold something about a person, in the order in which
// their rows are read.
func personTables() []personTable {
	persons := func(s personScope) []string { return s.persons }
	return []personTable{
		{"persons", "id email user_id name phone created_at:time updated_at:time", "id", persons, ""},
		{"person_keys", "key person_id", "person_id", persons, "key"},
		{"conversations", "id visitor_id user_id person_id status fields:json is_lead:bool lead_request_id lead_person_id " +
			"lead_email created_at:time updated_at:time", "id", func(s personScope) []string { return s.conversations }, ""},
		{"messages", "id conversation_id event_id client_id role text decision:json created_at:time", "conversation_id",
			func(s personScope) []string { return s.conversations }, ""},
		{"leads", "id person_id conversation_id name email phone company wants source revision:int created_at:time updated_at:time",
			"person_id", persons, ""},
		{"payments", "id connection person_id status amount:int amount_refunded:int currency customer_ref paid_at:time state:json " +
			"created_at:time updated_at:time", "person_id", persons, ""},
		{"subscriptions", "id connection ref person_id status plan cancel_at_period_end:bool current_period_end:time " +
			"confirmed_at:time created_at:time updated_at:time", "person_id", persons, ""},
		{"requests", "id kind person_id visitor_id user_id conversation_id event_id correlation_id created_at:time", "id",
			func(s personScope) []string { return s.requests }, ""},
		{"support_requests", "id person_id conversation_id event_id correlation_id status priority reason subject body assignee " +
			"transcript_url note due_at:time created_at:time updated_at:time resolved_at:time", "id",
			func(s personScope) []string { return s.support }, ""},
		{"steps", "id person_id connection kind key input:json state event_id request_id task_id correlation_id attempts:int " +
			"result:json error_class error done_by created_at:time updated_at:time", "id",
			func(s personScope) []string { return s.steps }, ""},
		{"attempts", "id step_id person_id number:int started_at:time duration_us:int class status:int vendor_request_id error",
			"step_id", func(s personScope) []string { return s.steps }, ""},
		{"external_refs", "person_id connection subject_id name value url updated_at:time", "person_id", persons,
			"person_id, connection, subject_id, name"},
		{"events", "id person_id source external_id kind vendor_type correlation_id conversation_id body:bytes occurred_at:time " +
			"received_at:time", "id", func(s personScope) []string { return s.events }, ""},
		{"security_log", "id at:time last_at:time kind role actor address correlation_id route detail count:int", "id",
			func(s personScope) []string { return s.log }, ""},
		{"outbox", "id:int kind key payload:json created_at:time", "CAST(id AS text)", personScope.waitingIDs, ""},
		{"spend", "day who micros:int", "who", func(s personScope) []string { return s.spenders }, "day, who"},
	}
}

// ExportPerson returns everything about a person, found as FindPerson finds them.
func (db *DB) ExportPerson(ctx context.Context, who string) (PersonExport, error) {
	p, err := db.FindPerson(ctx, who)
	if err != nil {
		return PersonExport{}, err
	}
	s, err := gather(ctx, db, personScope{person: p.ID}, true)
	if err != nil {
		return PersonExport{}, err
	}
	out := PersonExport{PersonID: p.ID, ExportedAt: db.clock.Now().UTC()}
	if out.Data, err = exportRows(ctx, db, s); err != nil {
		return out, err
	}
	out.SHA256, err = dataDigest(out.Data)
	return out, err
}

// dataDigest is SHA-256 over the rows as compact JSON, in hex. Go writes maps in the order
// of their keys.
func dataDigest(data map[string][]map[string]any) (string, error) {
	raw, err := json.Marshal(data)
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), err
}

// exportRows reads the rows of a scope, by table; a table without any is an empty list.
func exportRows(ctx context.Context, q queryer, s personScope) (map[string][]map[string]any, error) {
	out := map[string][]map[string]any{}
	for _, t := range personTables() {
		names, types := t.split()
		rows := []map[string]any{}
		order := t.order
		if order == "" {
			order = "id"
		}
		text := "SELECT " + strings.Join(names, ", ") + " FROM bellhop." + t.name + " WHERE " + t.by + " IN (?) ORDER BY " + order
		err := queryIn(ctx, q, text, t.ids(s), func(r *sql.Rows) error {
			row, err := scanExport(r, names, types)
			rows = append(rows, row)
			return err
		})
		if err != nil {
			return nil, err
		}
		out[t.name] = rows
	}
	return out, nil
}

// split returns the names and the types of the columns.
func (t personTable) split() (names, types []string) {
	for _, c := range strings.Fields(t.columns) {
		name, typ, _ := strings.Cut(c, ":")
		names, types = append(names, name), append(types, typ)
	}
	return names, types
}

// scanExport reads one row. Both databases give the same values for the same row, so that
// the digest does not depend on which of them it was.
func scanExport(r *sql.Rows, names, types []string) (map[string]any, error) {
	dest := make([]any, len(names))
	for i, typ := range types {
		switch typ {
		case "time":
			dest[i] = &timeDest{new(time.Time)}
		case "int":
			dest[i] = new(sql.NullInt64)
		case "bool":
			dest[i] = new(bool)
		case "json", "bytes":
			dest[i] = new([]byte)
		default:
			dest[i] = new(sql.NullString)
		}
	}
	if err := r.Scan(dest...); err != nil {
		return nil, err
	}
	row := make(map[string]any, len(names))
	for i, name := range names {
		row[name] = exportValue(dest[i])
	}
	return row, nil
}

// exportValue is a scanned column as JSON has it: NULL is null, JSON is JSON, the raw body
// of an event is text where it is text and base64 otherwise.
func exportValue(dest any) any {
	switch v := dest.(type) {
	case *timeDest:
		if v.t.IsZero() {
			return nil
		}
		return v.t.UTC().Truncate(time.Microsecond)
	case *sql.NullInt64:
		if v.Valid {
			return v.Int64
		}
	case *bool:
		return *v
	case *[]byte:
		var parsed any
		switch {
		case *v == nil:
		case json.Unmarshal(*v, &parsed) == nil:
			return parsed
		case utf8.Valid(*v):
			return string(*v)
		default:
			return *v
		}
	case *sql.NullString:
		if v.Valid {
			return v.String
		}
	}
	return nil
}
