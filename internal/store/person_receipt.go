package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"bellhop"
)

// Receipt says what an erasure did. It holds nothing that tells who the person was.
type Receipt struct {
	ID          string    `json:"id"`
	Persons     []string  `json:"persons"` // the ids whose rows were emptied; they now name nobody
	RequestedBy string    `json:"requested_by"`
	ErasedAt    time.Time `json:"erased_at"`
	// EmailDigest is keyed with a secret of this database: with the address at hand it
	// proves the erasure, without it nothing can be tried out.
	EmailDigest string         `json:"email_digest,omitempty"`
	Removed     map[string]int `json:"removed"`       // rows that were deleted or emptied, by table
	Kept        map[string]int `json:"kept"`          // rows whose keys, ids, amounts and times stay
	Dropped     int            `json:"dropped_steps"` // unfinished steps that were given up
	// SHA256 is over what was there before, as PersonExport counts it.
	SHA256    string          `json:"sha256"`
	AtVendors []VendorErasure `json:"at_vendors"` // who was asked to delete
	ByHand    []string        `json:"by_hand"`    // what a person has to delete elsewhere
	Signature string          `json:"signature"`  // HMAC-SHA256 over all of the above
}

// VendorErasure is a connection that is asked to delete the person; the step tells how it
// went.
type VendorErasure struct {
	Connection string `json:"connection"`
	Step       string `json:"step"`
}

// receiptKeys are made from the database's signing secret, one for each purpose.
type receiptKeys struct{ address, signature []byte }

func (db *DB) receiptKeys(ctx context.Context) (receiptKeys, error) {
	secret, err := db.SigningSecret(ctx)
	return receiptKeys{mac(secret, "erasure address"), mac(secret, "erasure receipt")}, err
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// digest of a normalised address; "" for none.
func (k receiptKeys) digest(email string) string {
	if email == "" {
		return ""
	}
	return hex.EncodeToString(mac(k.address, email))
}

// sign returns the signature of a receipt.
func (k receiptKeys) sign(r Receipt) (string, error) {
	r.Signature = ""
	raw, err := json.Marshal(r)
	return hex.EncodeToString(mac(k.signature, string(raw))), err
}

// end signs the receipt and puts it into the erasure, which is over by that.
func (e *erasing) end(ctx context.Context, keys receiptKeys) error {
	var err error
	if e.rec.Signature, err = keys.sign(e.rec); err != nil {
		return err
	}
	raw, err := json.Marshal(e.rec)
	if err != nil {
		return err
	}
	_, err = e.t.exec(ctx, "UPDATE bellhop.erasures SET receipt = $2 WHERE id = $1", e.rec.ID, string(raw))
	return err
}

// Receipts returns the receipts of the erasures of an address, a person's id or an
// erasure's id, oldest first; CodeNotFound when there are none. valid tells for each
// whether it is as it was signed.
func (db *DB) Receipts(ctx context.Context, who string) (out []Receipt, valid []bool, err error) {
	keys, err := db.receiptKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	column, value := "CAST(person_id AS text) = $1 OR CAST(id AS text)", strings.ToLower(strings.TrimSpace(who))
	if email, ok := bellhop.NormalizeEmail(who); ok {
		column, value = "email_digest", keys.digest(email)
	}
	rows, err := db.query(ctx, "SELECT receipt FROM bellhop.erasures WHERE receipt IS NOT NULL AND ("+column+" = $1) ORDER BY id", value)
	if err != nil {
		return nil, nil, err
	}
	err = each(rows, func(r *sql.Rows) error {
		var raw []byte
		var rec Receipt
		if err := r.Scan(&raw); err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &rec); err != nil {
			return err
		}
		if slices.ContainsFunc(out, func(x Receipt) bool { return x.ID == rec.ID }) {
			return nil
		}
		want, err := keys.sign(rec)
		out, valid = append(out, rec), append(valid, hmac.Equal([]byte(want), []byte(rec.Signature)))
		return err
	})
	if err == nil && len(out) == 0 {
		err = bellhop.Errorf(bellhop.CodeNotFound, "Check the e-mail address or the id.", "No erasure of that is known.")
	}
	return out, valid, err
}
