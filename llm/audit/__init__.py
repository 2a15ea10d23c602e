"""Audits of a run's updates: forecasts, diagnoses, what happened."""
