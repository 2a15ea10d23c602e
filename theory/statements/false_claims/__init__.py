"""Part F: plausible claims that are false, each with its counterexample (F1–F18)."""
