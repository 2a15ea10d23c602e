"""A5. Estimators from samples, and what normalisation does to them (T19–T23)."""
