"""Estimators of the law and of what training does to each objective, one idea a file."""
