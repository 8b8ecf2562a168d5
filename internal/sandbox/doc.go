// Package sandbox holds stateful fakes of the vendors at the HTTP edge, for the demo,
// the drill, connector tests, chaos and crash tests. It can break in every way that
// matters for exactly-once (see FaultMode), it never folds a duplicate that the real
// vendor would not fold, and it refuses live keys.
//
// What the fakes do is taken from the vendors' documents; doubtful points are marked
// "unconfirmed" at their place. A Server keeps everything in memory. It listens on
// loopback only.
//
// # Control API
//
// Under /_control, for loopback clients, JSON in and out, errors as {"error":"…"}:
//
//	GET    /_control/health              {"status":"ok","sandbox":true,"vendors":[…]}
//	GET    /_control/snapshot            Snapshot; ?after=VERSION&wait=10s waits for a change
//	GET    /_control/counts              Counts; the same parameters
//	GET    /_control/calls               [CallRecord], oldest first, at most 50,000
//	GET    /_control/faults              {"hubspot":[Fault]}
//	PUT    /_control/faults/{vendor}     [Fault] replaces that vendor's faults
//	DELETE /_control/faults[/{vendor}]   ends that vendor's faults, or all
//	POST   /_control/reset               empties everything
//	POST   /_control/stripe/{flow}       FlowParams → FlowResult
//
// A fault is
//
//	{"mode":"rate_limited","count":2,"path":"POST /crm/v3/objects/notes$","retry_after":"httpdate:5s",
//	 "delay":"1.5s","status":503,"probability":0.3}
//
// with every member but mode optional. The flows are those of Flows; an example:
//
//	POST /_control/stripe/pay_checkout
//	{"email":"ada@example.com","name":"Ada","amount":4900,"currency":"eur","description":"Pro",
//	 "deliver_to":"http://127.0.0.1:8080/webhooks/stripe","copies":3,"shuffle":true,"concurrency":4}
//
// Other parameters: pay_invoice takes plan; refund charge and amount; dispute charge;
// close_dispute dispute and status; renew, fail_invoice and cancel_subscription
// subscription, the last one at_period_end too; undelivered delivers whatever no
// delivery was accepted for. A flow that cannot change anything is answered 422.
package sandbox
