"""Part B: the clipped surrogate (T24–T29)."""
