"""Part C: covariance-targeted weight adaptation, CTWA (T30–T40)."""
