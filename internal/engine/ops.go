package engine

import (
	"context"

	"bellhop"
	"bellhop/internal/connector"
)

// Retry makes a step due again at once, with fresh tries.
func (e *Engine) Retry(ctx context.Context, stepID string) (bellhop.Step, error) {
	s, err := e.db.Step(ctx, stepID)
	if err != nil {
		return s, err
	}
	c := e.conns[s.Connection]
	if c == nil {
		return s, bellhop.Errorf(bellhop.CodeStateConflict, "Put the connection back into bellhop.yaml, or do the step by hand.",
			"The connection %s is not configured any more.", s.Connection)
	}
	am, _ := c.manifest.Action(bellhop.Action(s.Kind))
	return e.db.RetryStep(ctx, stepID, am.Once != connector.OnceNone)
}

// Finish records that a person did a step by hand or gave it up.
func (e *Engine) Finish(ctx context.Context, stepID string, to bellhop.StepState, by string) (bellhop.Step, error) {
	if by == "" || by == "engine" {
		by = "operator"
	}
	return e.db.FinishStep(ctx, stepID, to, by)
}
