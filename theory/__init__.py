"""Estimators, identities, scalarizers and statements. Imports nothing else of covlaw."""
