package conntest

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"
	"testing"

	"bellhop"
	"bellhop/internal/connector"
	"bellhop/internal/sandbox"
)

// Harness tells the suite about one vendor.
type Harness struct {
	Vendor connector.Vendor
	Fake   sandbox.Vendor
	// Settings makes the connection's raw settings for a fake whose base URL, as
	// sandbox.BaseURL gives it, is base.
	Settings func(base string) map[string]any
	Cases    []Case
	// Classes says where the vendor's class for a fault differs from the common one,
	// see classOf. A map of the harness, because the differences are facts of vendors.
	Classes map[sandbox.FaultMode]bellhop.ErrorClass
	// DailyQuota is set when the vendor tells a day's quota from a short limit.
	DailyQuota bool
	// AnyAnswerIsDone is set when a good status is the whole answer, whatever the body
	// says: then a body that is cut changes nothing.
	AnyAnswerIsDone bool
	// Reject is a permanent refusal in the vendor's own form, and Reason what of it
	// must reach the person.
	Reject Refusal
}

// Refusal is a permanent error of a vendor.
type Refusal struct {
	Status int
	Body   string
	Reason string
}

// Case is one action with an input.
type Case struct {
	Name   string // "" means the action's name
	Action bellhop.Action
	Input  any
	// Write is the part of "METHOD /path" that only the writing request has, so that
	// faults can hit it and nothing else (sandbox.Fault.Path).
	Write string
	// Prepare makes what the action builds on and returns its refs.
	Prepare func(t *testing.T, c connector.Connector) map[string]string
	// Refs are refs for fakes that are no sandbox.
	Refs map[string]string
	// Count counts the records that the action made.
	Count func(sandbox.Snapshot) int
}

// Call makes a call as the engine would.
func Call(t *testing.T, action bellhop.Action, key string, input any, refs map[string]string) connector.Call {
	t.Helper()
	data, err := json.Marshal(input)
	if err != nil {
		t.Fatalf("input: %v", err)
	}
	return connector.Call{Action: action, Key: key, Marker: Marker(key), Input: data, Refs: refs,
		CorrelationID: "0af7651916cd43dd8448eb211c80319c"}
}

// Marker makes the marker of a key: "bh-" and 20 characters of a-z2-7.
func Marker(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "bh-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:20]
}

// rig is a vendor's connector against a fresh fake.
type rig struct {
	clock    *Clock
	box      *sandbox.Server
	conn     connector.Connector
	settings connector.Settings
	secrets  []string
}

func (h Harness) newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{clock: NewClock()}
	r.box = sandbox.New(sandbox.Options{Clock: r.clock, Seed: 7})
	run, err := r.box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatalf("sandbox: %v", err)
	}
	t.Cleanup(run.Close)
	h.connect(t, r, sandbox.BaseURL(run.URL, string(h.Fake)))
	return r
}

// connect makes the rig's connector for a base URL.
func (h Harness) connect(t *testing.T, r *rig, base string) {
	t.Helper()
	if r.clock == nil {
		r.clock = NewClock()
	}
	var err error
	r.settings, err = connector.ParseSettings(h.Vendor.Manifest, "conn", h.Settings(base))
	if err != nil {
		t.Fatalf("settings: %v", err)
	}
	client := connector.NewClient(connector.ClientOpts{Clock: r.clock, AllowPrivate: true})
	t.Cleanup(client.CloseIdle)
	r.conn, err = h.Vendor.New(r.settings, connector.Env{HTTP: client, Clock: r.clock})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	r.secrets = r.settings.SecretValues(h.Vendor.Manifest)
}

func (h Harness) driver(t *testing.T, r *rig, c Case) Driver {
	t.Helper()
	am, ok := h.Vendor.Manifest.Action(c.Action)
	if !ok {
		t.Fatalf("the manifest has no action %s", c.Action)
	}
	return Driver{Connector: r.conn, Action: am, Clock: r.clock}
}

func (c Case) name() string {
	if c.Name != "" {
		return c.Name
	}
	return string(c.Action)
}

// prepared returns the call of a case whose ground is laid.
func (c Case) prepared(t *testing.T, r *rig, key string) connector.Call {
	t.Helper()
	var refs map[string]string
	if c.Prepare != nil {
		refs = c.Prepare(t, r.conn)
	}
	return Call(t, c.Action, key, c.Input, refs)
}

// classOf is the class that a fault must have, unless the vendor differs.
func (h Harness) classOf(m sandbox.FaultMode) bellhop.ErrorClass {
	if c, ok := h.Classes[m]; ok {
		return c
	}
	switch m {
	case sandbox.FaultRateLimited, sandbox.FaultDailyQuota:
		return bellhop.ClassRateLimited
	case sandbox.FaultUnauthorized:
		return bellhop.ClassUnauthorized
	case sandbox.FaultMalformed, sandbox.FaultMalformedBefore:
		return bellhop.ClassMalformed
	default: // 5xx and every broken connection
		return bellhop.ClassUnknownOutcome
	}
}
