"""What estimators are fed with: enumerated worlds, updates, token trees, tilts, rungs."""
