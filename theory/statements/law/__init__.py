"""Part A: the covariance law, from the tilt to any optimiser, and its estimators (T1–T23)."""
