package assistant

// knot is a point of the table that turns the lead of the best score over the next
// into the share of such decisions that are right.
type knot struct{ margin, share float64 }

// calibration was fitted on the training half of testdata/messages.jsonl together
// with damaged copies of it, as the rules know the undamaged ones too well; see
// TestCalibrationIsFitted, which computes it anew and prints it.
func calibration() []knot {
	return []knot{{0, 0.28}, {0.3, 0.59}, {0.7, 0.8}, {1.1, 0.94}, {1.5, 0.945}, {2.5, 0.975}, {4, 0.98}, {7, 0.98}}
}

// confidence returns the probability that a decision with this margin is right,
// between the knots of the table in a straight line.
func confidence(margin float64) float64 {
	table := calibration()
	if margin <= table[0].margin {
		return table[0].share
	}
	for i := 1; i < len(table); i++ {
		a, b := table[i-1], table[i]
		if margin <= b.margin {
			return a.share + (b.share-a.share)*(margin-a.margin)/(b.margin-a.margin)
		}
	}
	return table[len(table)-1].share
}
