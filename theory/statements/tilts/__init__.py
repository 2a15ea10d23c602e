"""A1. The covariance law of an exponential tilt (T1–T7)."""
