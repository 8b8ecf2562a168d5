package store

import (
	"context"

	"bellhop"
)

// RetryStep makes a step due again at once, with fresh tries. A step that a person has
// joins its lane again, behind whatever holds it. lookFirst keeps an uncertain outcome
// uncertain, so that it is looked up before anything is sent; a person who retries what
// cannot be looked up has looked themselves.
func (db *DB) RetryStep(ctx context.Context, id string, lookFirst bool) (bellhop.Step, error) {
	return db.settleStep(ctx, id, func(t *Tx, ch *changed, s DueStep) error {
		state := bellhop.StepReady
		switch s.State {
		case bellhop.StepManual:
			open, err := moveLanes(ctx, t, map[laneKey]int{{s.PersonID, s.Connection}: 1})
			if err != nil {
				return err
			}
			if open[laneKey{s.PersonID, s.Connection}] > 1 {
				state = bellhop.StepWaiting
			}
		case bellhop.StepParked, bellhop.StepRetrying, bellhop.StepUnknown:
		default:
			return conflict(s.State, "retried")
		}
		if lookFirst && uncertain(s) && state == bellhop.StepReady {
			state = bellhop.StepUnknown // still: look first
		}
		class := string(s.ErrorClass)
		if !lookFirst {
			class = "" // a person has looked: the doubt is gone
		}
		if state != bellhop.StepWaiting {
			ch.due = append(ch.due, dueLane{s.Connection, s.PersonID})
		}
		_, err := t.exec(ctx, `UPDATE bellhop.steps SET state = $2, attempts = 0, due_at = $3, updated_at = $3,
			error_class = $4, version = version + 1 WHERE id = $1`, id, string(state), t.now, class)
		return err
	})
}

// uncertain reports whether the last call of a step may have taken effect.
func uncertain(s DueStep) bool {
	return s.State == bellhop.StepUnknown || s.ErrorClass == bellhop.ClassUnknownOutcome ||
		s.ErrorClass == bellhop.ClassMalformed
}

// FinishStep records that a person did a step by hand (StepDone) or gave it up
// (StepDropped). Nothing will try it again.
func (db *DB) FinishStep(ctx context.Context, id string, to bellhop.StepState, by string) (bellhop.Step, error) {
	return db.settleStep(ctx, id, func(t *Tx, ch *changed, s DueStep) error {
		if s.State.Final() {
			return conflict(s.State, "finished")
		}
		if s.State == bellhop.StepRunning {
			now, err := db.shared(ctx, t)
			if err != nil {
				return err
			}
			if s.LeaseUntil.After(now) {
				return errInFlight()
			}
		}
		if _, err := t.exec(ctx, `UPDATE bellhop.steps SET state = $2, done_by = $3, updated_at = $4,
			version = version + 1 WHERE id = $1`, id, string(to), by, t.now); err != nil {
			return err
		}
		k := laneKey{s.PersonID, s.Connection}
		if s.State.HoldsLane() {
			open, err := moveLanes(ctx, t, map[laneKey]int{k: -1})
			if err != nil {
				return err
			}
			if open[k] > 0 {
				next, err := promote(ctx, t, []laneKey{k})
				if err != nil {
					return err
				}
				for _, n := range next {
					ch.due = append(ch.due, dueLane{n.Connection, n.PersonID})
				}
			}
		}
		jobs, err := settle(ctx, t, db.plans, map[string]bool{s.IncidentID: true}, map[string]bool{s.TaskID: true})
		ch.jobs = append(ch.jobs, jobs...)
		return err
	})
}

// errInFlight refuses to settle a step while its call is being made.
func errInFlight() error {
	return bellhop.Errorf(bellhop.CodeStateConflict, "Wait a few seconds and look again.",
		"The step is being carried out at this moment.")
}

func conflict(s bellhop.StepState, verb string) error {
	return bellhop.Errorf(bellhop.CodeStateConflict, "Reload the step and look at its state.",
		"A step that is %s cannot be %s.", s, verb)
}

func (db *DB) settleStep(ctx context.Context, id string, fn func(*Tx, *changed, DueStep) error) (bellhop.Step, error) {
	var out DueStep
	err := db.changeSteps(ctx, func(t *Tx, ch *changed) error {
		s, err := scanStep(t.queryRow(ctx, "SELECT "+stepColumns+" FROM bellhop.steps WHERE id = $1"+t.forUpdate(), id))
		if errIsNoRows(err) {
			return notFound("step")
		}
		if err != nil {
			return err
		}
		if err := fn(t, ch, s); err != nil {
			return err
		}
		out, err = scanStep(t.queryRow(ctx, "SELECT "+stepColumns+" FROM bellhop.steps WHERE id = $1", id))
		ch.touched = append(ch.touched, out.Step)
		return err
	})
	return out.Step, err
}
