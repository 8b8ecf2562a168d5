package policy

import (
	"fmt"
	"slices"
	"strings"

	"bellhop"
)

// Erasure returns the plan for the vendors of a person who is erased: one step for each
// connection that can be asked to delete them, one support request that lists the others.
// targets are the connections there are; one that the configuration no longer has is a
// person's matter like one that offers nothing.
func Erasure(targets []bellhop.Target) bellhop.ErasureFunc {
	return func(in bellhop.ErasureInput) bellhop.Plan {
		var out bellhop.Plan
		for _, held := range in.HeldAt {
			i := slices.IndexFunc(targets, func(t bellhop.Target) bool { return t.Connection == held.Connection })
			// Without an id of the vendor's own there is nothing to name to it: an address
			// would have to be kept in the step.
			if i >= 0 && targets[i].Can(bellhop.ActionDeletePerson) && len(held.Refs) > 0 {
				out.Steps = append(out.Steps, bellhop.PlannedStep{Connection: held.Connection, Action: bellhop.ActionDeletePerson,
					Key: key("erase", held.Connection, in.ErasureID), Input: bellhop.DeletePersonInput{Refs: held.Refs}})
				continue
			}
			vendor := ""
			if i >= 0 {
				vendor = targets[i].Vendor
			}
			out.Support = append(out.Support, eraseByHand(in, held, vendor))
		}
		return out
	}
}

// eraseByHand asks a person to delete somebody at a vendor.
func eraseByHand(in bellhop.ErasureInput, held bellhop.HeldAt, vendor string) bellhop.SupportRequest {
	var lines []string
	for _, name := range sortedNames(held.Refs) {
		lines = append(lines, name+": "+held.Refs[name])
	}
	for _, c := range held.Customers {
		lines = append(lines, "customer: "+c)
	}
	lines = append(lines, held.URLs...)
	if len(lines) == 0 {
		lines = []string{"Bellhop knows no id there: search it for the person."}
	}
	next := "Delete or redact it there, as far as the law does not make you keep it, and resolve this request."
	if vendor == "stripe" {
		next = "Payments have to be kept for the tax office in most countries; redact the customer there as far as you may. " +
			"Deleting a Stripe customer also ends their subscriptions. Then resolve this request."
	}
	return bellhop.SupportRequest{ID: in.NewID(), PersonID: in.PersonID, Priority: bellhop.PriorityHigh,
		Reason: bellhop.ReasonErasure, DueAt: in.Now.Add(DueIn(bellhop.PriorityHigh)),
		Subject: "Delete an erased person at " + held.Connection,
		Body: fmt.Sprintf("A person was erased here (erasure %s) and %s cannot be asked to delete them. What it has:\n\n%s\n\nNext: %s",
			in.ErasureID, held.Connection, strings.Join(lines, "\n"), next)}
}

func sortedNames(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
