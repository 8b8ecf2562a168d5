package connector

import (
	"strings"
	"testing"
	"time"

	"bellhop"
)

const goodManifest = `{"vendor":"acme","name":"Acme","category":"crm","settings":[{"name":"token","type":"secret","label":"Token"}],
"actions":[{"action":"crm.upsert_contact","effect":"write","once":"upsert","once_note":"by e-mail","timeout_ms":500,"lookup_delay_ms":7}],
"limits":{"concurrency":2,"rate_per_second":1}}`

func TestParseManifest(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte(goodManifest))
	if err != nil {
		t.Fatal(err)
	}
	a, ok := m.Action(bellhop.ActionUpsertContact)
	if !ok || a.Timeout() != 500*time.Millisecond || a.LookupDelay() != 7*time.Millisecond || !a.Once.Repeatable() {
		t.Errorf("action: %+v, %v", a, ok)
	}
	if _, ok := m.Action(bellhop.ActionAddNote); ok {
		t.Error("an action that is not there was found")
	}
	if (ActionManifest{}).Timeout() != 10*time.Second {
		t.Error("the default time box is not 10 s")
	}
}

func TestParseManifestRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"not JSON":       {`{"vendor"`, `{vendor`},
		"unknown member": {`"name":"Acme"`, `"name":"Acme","nmae":"x"`},
		"no vendor":      {`"vendor":"acme"`, `"vendor":""`},
		"no concurrency": {`"concurrency":2`, `"concurrency":0`},
		"unknown once":   {`"once":"upsert"`, `"once":"hope"`},
		"no once note":   {`"once_note":"by e-mail"`, `"once_note":""`},
		"unknown effect": {`"effect":"write"`, `"effect":"magic"`},
		"unknown action": {`crm.upsert_contact`, `crm.guess`},
		"unknown type":   {`"type":"secret"`, `"type":"blob"`},
		"no label":       {`"label":"Token"`, `"label":""`},
		"reserved name":  {`"name":"token"`, `"name":"base_url"`},
		"secret default": {`"label":"Token"`, `"label":"Token","default":"x"`},
		"broken pattern": {`"label":"Token"`, `"label":"Token","pattern":"("`},
		"negative time":  {`"timeout_ms":500`, `"timeout_ms":-1`},
	} {
		if !strings.Contains(goodManifest, change[0]) {
			t.Fatalf("%s: nothing to change", name)
		}
		if _, err := ParseManifest([]byte(strings.Replace(goodManifest, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
